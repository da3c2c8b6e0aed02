// Counts through a failure: what was acknowledged must be there.

export async function endure(seconds, incr, get) {
  let [acknowledged, unknown, refused] = [0, 0, 0];
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    try {
      await incr();
      acknowledged += 1;
    } catch (error) {
      const text = String(error.message ?? error);
      if (/CLUSTERDOWN|TRYAGAIN/.test(text)) refused += 1;
      else if (/UNKNOWN|closed|Connection|ECONN|timeout|timed out|startup nodes|slots cache/i.test(text)) unknown += 1;
      else throw error;
    }
  }
  // A client may still have to notice that a node is back.
  let value = NaN;
  for (let tries = 0; tries < 50 && Number.isNaN(value); tries += 1) {
    value = await get().then(Number, () => new Promise((wake) => setTimeout(wake, 100, NaN)));
  }
  if (!(acknowledged > 0 && acknowledged <= value && value <= acknowledged + unknown)) {
    throw new Error(`${acknowledged} acknowledged, ${unknown} unknown, ${value} counted`);
  }
  console.log(`${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused, ${value} counted`);
}
