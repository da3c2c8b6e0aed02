// node-redis against raftlet: what its users do, and counting through a failure.

import assert from "node:assert/strict";
import { createClient, createCluster } from "redis";

import { endure } from "./endure.mjs";

async function use(client, prefix) {
  await client.del([prefix + "s", prefix + "n", prefix + "h", prefix + "z"]);
  assert.equal(await client.set(prefix + "s", "v", { EX: 100 }), "OK");
  assert.equal(await client.get(prefix + "s"), "v");
  assert.equal(await client.incrBy(prefix + "n", 5), 5);
  assert.equal(await client.hSet(prefix + "h", { a: "1", b: "2" }), 2);
  assert.deepEqual({ ...(await client.hGetAll(prefix + "h")) }, { a: "1", b: "2" });
  assert.equal(await client.zAdd(prefix + "z", { score: 1.5, value: "m" }), 1);
  assert.equal(await client.zScore(prefix + "z", "m"), 1.5);
  const answers = await Promise.all(Array.from({ length: 100 }, () => client.incr(prefix + "n")));
  assert.deepEqual(answers, Array.from({ length: 100 }, (_, i) => i + 6));
  const multi = await client.multi().incr(prefix + "n").get(prefix + "n").exec();
  assert.deepEqual(multi, [106, "106"]);
}

const url = (port) => `redis://127.0.0.1:${port}`;
const [mode, first, second] = process.argv.slice(2);
if (mode === "basic") {
  for (const port of [first, second].map(Number)) {
    for (const RESP of [2, 3]) {
      const client = await createClient({ url: url(port), RESP }).connect();
      await use(client, `node${port}${RESP}:`);
      await client.close();
    }
    const cluster = await createCluster({ rootNodes: [{ url: url(port) }] }).connect();
    await use(cluster, `{node${port}}:`);
    await cluster.close();
  }
} else {
  const client =
    mode === "endure"
      ? createClient({ url: url(first) })
      : createCluster({ rootNodes: [{ url: url(first) }], maxCommandRedirections: 0 });
  client.on("error", () => {});
  await client.connect();
  const key = `endure:node:${process.hrtime.bigint()}`;
  await endure(Number(second), () => client.incr(key), () => client.get(key));
  await client.close();
}
