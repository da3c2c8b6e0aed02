// ioredis against raftlet: what its users do, and counting through a failure.

import assert from "node:assert/strict";
import Redis, { Cluster } from "ioredis";

import { endure } from "./endure.mjs";

async function use(client, prefix) {
  await client.del(prefix + "s", prefix + "n", prefix + "h", prefix + "z");
  assert.equal(await client.set(prefix + "s", "v", "EX", 100), "OK");
  assert.equal(await client.get(prefix + "s"), "v");
  assert.equal(await client.incrby(prefix + "n", 5), 5);
  assert.equal(await client.hset(prefix + "h", { a: 1, b: 2 }), 2);
  assert.deepEqual(await client.hgetall(prefix + "h"), { a: "1", b: "2" });
  assert.equal(await client.zadd(prefix + "z", 1.5, "m"), 1);
  assert.equal(Number(await client.zscore(prefix + "z", "m")), 1.5);
  const pipeline = client.pipeline();
  for (let i = 0; i < 100; i += 1) pipeline.incr(prefix + "n");
  const answers = await pipeline.exec();
  assert.deepEqual(answers.map(([, value]) => value), Array.from({ length: 100 }, (_, i) => i + 6));
  const multi = await client.multi().incr(prefix + "n").get(prefix + "n").exec();
  assert.deepEqual(multi, [[null, 106], [null, "106"]]);
}

const [mode, first, second] = process.argv.slice(2);
if (mode === "basic") {
  for (const port of [first, second].map(Number)) {
    const client = new Redis({ port });
    await use(client, `io${port}:`);
    const release =
      'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';
    await client.set(`io${port}:lock`, "me");
    assert.equal(await client.eval(release, 1, `io${port}:lock`, "you"), 0);
    assert.equal(await client.eval(release, 1, `io${port}:lock`, "me"), 1);
    client.disconnect();
    const cluster = new Cluster([{ host: "127.0.0.1", port }]);
    await use(cluster, `{io${port}}:`);
    cluster.disconnect();
  }
} else {
  // What a client repeats by itself cannot be counted.
  const redisOptions = { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 };
  const client =
    mode === "endure"
      ? new Redis({ port: Number(first), ...redisOptions })
      : new Cluster([{ host: "127.0.0.1", port: Number(first) }], { redisOptions, maxRedirections: 0 });
  client.on("error", () => {});
  const key = `endure:io:${process.hrtime.bigint()}`;
  await endure(Number(second), () => client.incr(key), () => client.get(key));
  client.disconnect();
}
