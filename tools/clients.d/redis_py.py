"""redis-py against raftlet: what its users do, and counting through a failure."""

import sys
import time

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

SURELY_NOT_DONE = ("CLUSTERDOWN", "TRYAGAIN")


def use(client, prefix):
    """Replies in the types that redis-py makes of them."""
    client.delete(*(prefix + name for name in ("s", "n", "h", "l", "z", "set")))
    assert client.set(prefix + "s", "v", ex=100)
    assert client.get(prefix + "s") == b"v"
    assert 0 < client.ttl(prefix + "s") <= 100
    assert client.incrby(prefix + "n", 5) == 5
    assert client.hset(prefix + "h", mapping={"a": "1", "b": "2"}) == 2
    assert client.hgetall(prefix + "h") == {b"a": b"1", b"b": b"2"}
    assert client.rpush(prefix + "l", "x", "y") == 2
    assert client.lrange(prefix + "l", 0, -1) == [b"x", b"y"]
    assert client.zadd(prefix + "z", {"m": 1.5}) == 1
    assert client.zscore(prefix + "z", "m") == 1.5
    assert client.sadd(prefix + "set", "1") == 1
    assert client.smembers(prefix + "set") == {b"1"}
    pipe = client.pipeline(transaction=False)
    for _ in range(100):
        pipe.incr(prefix + "n")
    assert pipe.execute() == list(range(6, 106))


def use_plain(client, prefix):
    use(client, prefix)
    pipe = client.pipeline()
    pipe.watch(prefix + "n")
    assert pipe.get(prefix + "n") == b"105"
    pipe.multi()
    pipe.set(prefix + "n", "0")
    assert pipe.execute() == [True]
    pipe.watch(prefix + "n")
    client.set(prefix + "n", "7")
    pipe.multi()
    pipe.set(prefix + "n", "8")
    try:
        pipe.execute()
        raise AssertionError("a watched key changed and EXEC went through")
    except redis.WatchError:
        pass
    lock = client.lock(prefix + "lock", timeout=10)
    assert lock.acquire(blocking=False)
    lock.extend(5)
    lock.reacquire()
    assert not client.lock(prefix + "lock", timeout=10).acquire(blocking=False)
    lock.release()
    assert client.exists(prefix + "lock") == 0
    assert prefix.encode() + b"s" in set(client.scan_iter(match=prefix + "*"))


def basic(leader, follower):
    for port in (leader, follower):
        for protocol in (2, 3):
            client = redis.Redis(port=port, protocol=protocol)
            use_plain(client, f"py{port}{protocol}:")
        cluster = RedisCluster(host="127.0.0.1", port=port)
        use(cluster, f"{{py{port}}}:")
        assert cluster.dbsize() > 0


def eventually(ask):
    """A client may still have to notice that a node is back."""
    for _ in range(50):
        try:
            return ask()
        except (redis.RedisError, redis.exceptions.RedisClusterException):
            time.sleep(0.1)
    return ask()


def endure(client, seconds):
    key = f"endure:{time.time_ns()}"
    acknowledged = unknown = refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            client.incr(key)
            acknowledged += 1
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
            text = str(error)
            if any(word in text for word in SURELY_NOT_DONE) or type(error).__name__ in (
                "ClusterDownError",
                "TryAgainError",
            ):
                refused += 1
            elif text.startswith("UNKNOWN") or isinstance(
                error,
                (redis.ConnectionError, redis.TimeoutError, redis.exceptions.RedisClusterException),
            ):
                unknown += 1
            else:
                raise
    value = int(eventually(lambda: client.get(key)))
    assert acknowledged <= value <= acknowledged + unknown, (acknowledged, unknown, value)
    assert acknowledged > 0
    print(f"{acknowledged} acknowledged, {unknown} unknown, {refused} refused, {value} counted")


port, last = int(sys.argv[2]), int(sys.argv[3])
# What a client repeats by itself cannot be counted.
once = Retry(NoBackoff(), 0)
if sys.argv[1] == "basic":
    basic(port, last)
elif sys.argv[1] == "endure":
    endure(redis.Redis(port=port, retry=once), last)
else:
    endure(RedisCluster(host="127.0.0.1", port=port, retry=once), last)
