//! The Rust clients `redis` and `fred` against raftlet: what their users do,
//! and counting through a failure. Called by `tools/clients`.

use std::time::{Duration, Instant};

use fred::prelude::{ClientLike, KeysInterface, TransactionInterface};
use redis::{Commands, Connection};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["redis-rs", "basic", ports @ ..] => ports.iter().try_for_each(|port| redis_basic(port)),
        ["redis-rs", "endure", port, seconds] => redis_endure(port, seconds.parse()?),
        ["fred", "basic", ports @ ..] => {
            for port in ports {
                fred_basic(port).await?;
            }
            Ok(())
        }
        ["redis-rs", "endure-cluster", port, seconds] => {
            redis_cluster_endure(port, seconds.parse()?)
        }
        ["fred", "endure", port, seconds] => {
            fred_endure(fred_client(port, "redis").await?, seconds.parse()?).await
        }
        ["fred", "endure-cluster", port, seconds] => {
            fred_endure(fred_client(port, "redis-cluster").await?, seconds.parse()?).await
        }
        _ => Err("usage: raftlet-clients redis-rs|fred basic|endure PORT ...".into()),
    }
}

/// What was counted, and whether it can be.
#[derive(Default)]
struct Count {
    acknowledged: i64,
    unknown: i64,
    refused: i64,
}

impl Count {
    fn note(&mut self, error: &str) -> Outcome {
        let is = |words: &[&str]| words.iter().any(|word| error.contains(word));
        // fred's own: it has no connection to the slot's node and sends nothing.
        let unsent = "Failed to route command";
        if is(&["CLUSTERDOWN", "ClusterDown", "TRYAGAIN", "TryAgain", unsent]) {
            self.refused += 1;
        } else if is(&[
            "UNKNOWN",
            "IO",
            "Broken",
            "refused",
            "reset",
            "Timeout",
            "Disconnected",
            "Canceled",
            "end of file",
        ]) {
            self.unknown += 1;
        } else {
            return Err(error.into());
        }
        Ok(())
    }

    fn judge(&self, value: i64) -> Outcome {
        let Self { acknowledged, unknown, refused } = self;
        println!(
            "{acknowledged} acknowledged, {unknown} unknown, {refused} refused, {value} counted"
        );
        if *acknowledged > 0 && (*acknowledged..=acknowledged + unknown).contains(&value) {
            return Ok(());
        }
        Err("what was acknowledged is not what was counted".into())
    }
}

fn key(name: &str) -> String {
    format!("endure:{name}:{}", std::process::id())
}

fn redis_use(client: &mut Connection, prefix: &str) -> Outcome {
    let [s, n, h] = ["s", "n", "h"].map(|name| format!("{prefix}{name}"));
    let _: () = client.del(&[&s, &n, &h])?;
    let _: () = client.set(&s, "v")?;
    assert_eq!(client.get::<_, String>(&s)?, "v");
    let _: () = client.hset(&h, "a", 1)?;
    assert_eq!(client.hget::<_, _, i64>(&h, "a")?, 1);
    let mut pipe = redis::pipe();
    for _ in 0..100 {
        pipe.incr(&n, 1);
    }
    assert_eq!(pipe.query::<Vec<i64>>(client)?, (1..=100).collect::<Vec<_>>());
    let both: (i64, i64) = redis::pipe().atomic().incr(&n, 1).get(&n).query(client)?;
    assert_eq!(both, (101, 101));
    Ok(())
}

fn redis_basic(port: &str) -> Outcome {
    for protocol in ["", "?protocol=resp3"] {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/{protocol}"))?;
        redis_use(&mut client.get_connection()?, &format!("rs{port}{protocol}:"))?;
    }
    let cluster = redis::cluster::ClusterClient::new(vec![format!("redis://127.0.0.1:{port}/")])?;
    let mut connection = cluster.get_connection()?;
    let _: () = connection.set("rs:cluster", "v")?;
    assert_eq!(connection.get::<_, String>("rs:cluster")?, "v");
    Ok(())
}

fn redis_endure(port: &str, seconds: u64) -> Outcome {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    endure_with("rs", seconds, || client.get_connection())
}

/// The same through the client for clusters, which goes to whoever leads. What
/// it would repeat by itself cannot be counted.
fn redis_cluster_endure(port: &str, seconds: u64) -> Outcome {
    let node = format!("redis://127.0.0.1:{port}/");
    let client = redis::cluster::ClusterClient::builder(vec![node]).retries(0).build()?;
    endure_with("rs-cluster", seconds, || client.get_connection())
}

/// Counts, and connects anew after each error.
fn endure_with<C: Commands>(
    name: &str,
    seconds: u64,
    connect: impl Fn() -> redis::RedisResult<C>,
) -> Outcome {
    let (key, mut count) = (key(name), Count::default());
    let mut connection = connect()?;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        match connection.incr::<_, _, i64>(&key, 1) {
            Ok(_) => count.acknowledged += 1,
            Err(error) => {
                count.note(&error.to_string())?;
                if let Ok(again) = connect() {
                    connection = again;
                }
            }
        }
    }
    // The one at hand may be to a node that was killed meanwhile.
    count.judge(connect()?.get(&key)?)
}

async fn fred_client(
    port: &str,
    scheme: &str,
) -> Result<fred::clients::Client, Box<dyn std::error::Error>> {
    let config = fred::types::config::Config::from_url(&format!("{scheme}://127.0.0.1:{port}"))?;
    let mut builder = fred::types::Builder::from_config(config);
    builder.with_connection_config(|config| config.max_command_attempts = 1);
    // Without these it waits forever for a node that it has lost.
    builder.with_performance_config(|config| {
        config.default_command_timeout = Duration::from_secs(5);
    });
    builder.set_policy(fred::types::config::ReconnectPolicy::new_constant(0, 100));
    let client = builder.build()?;
    client.init().await?;
    Ok(client)
}

async fn fred_basic(port: &str) -> Outcome {
    let client = fred_client(port, "redis").await?;
    let prefix = format!("fred{port}:");
    let (s, n) = (format!("{prefix}s"), format!("{prefix}n"));
    let _: () = client.del(vec![s.clone(), n.clone()]).await?;
    let _: () = client.set(&s, "v", None, None, false).await?;
    assert_eq!(client.get::<String, _>(&s).await?, "v");
    let pipeline = client.pipeline();
    for _ in 0..100 {
        let _: () = pipeline.incr(&n).await?;
    }
    assert_eq!(pipeline.all::<Vec<i64>>().await?, (1..=100).collect::<Vec<_>>());
    let transaction = client.multi();
    let _: () = transaction.incr(&n).await?;
    let _: () = transaction.get(&n).await?;
    assert_eq!(transaction.exec::<(i64, i64)>(true).await?, (101, 101));
    client.quit().await?;
    let url = format!("redis-cluster://127.0.0.1:{port}");
    let config = fred::types::config::Config::from_url(&url)?;
    let cluster = fred::types::Builder::from_config(config).build()?;
    cluster.init().await?;
    let _: () = cluster.set("fred:cluster", "v", None, None, false).await?;
    assert_eq!(cluster.get::<String, _>("fred:cluster").await?, "v");
    cluster.quit().await?;
    Ok(())
}

async fn fred_endure(client: fred::clients::Client, seconds: u64) -> Outcome {
    let (key, mut count) = (key("fred"), Count::default());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        match client.incr::<i64, _>(&key).await {
            Ok(_) => count.acknowledged += 1,
            Err(error) => count.note(&error.to_string())?,
        }
    }
    count.judge(client.get(&key).await?)
}
