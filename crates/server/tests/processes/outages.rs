//! What was acknowledged survives SIGKILL of anybody and of everybody, and an
//! orderly stop (rules 6-15, 36).

use crate::client::bulk;
use crate::cluster::Cluster;
use crate::waiting::wait_until;
use raftlet_kv::Reply;

/// Writes until acknowledged: right after an outage the answer may be that
/// nobody knows.
fn write(cluster: &Cluster, at: usize, key: &str, value: &str) {
    wait_until("a write is acknowledged", || {
        let mut client = cluster.client(at);
        client.try_ask(&["SET", key, value]).is_ok_and(|reply| reply == Reply::OK)
    });
}

fn assert_reads(cluster: &Cluster, keys: &[(String, String)]) {
    for at in 0..cluster.len() {
        let mut client = cluster.client(at);
        for (key, value) in keys {
            assert_eq!(client.ask(&["GET", key]), bulk(value), "at node {}", at + 1);
        }
    }
}

#[test]
fn acknowledged_writes_survive_kills_of_leader_follower_and_all() {
    let mut cluster = Cluster::started(3);
    let mut written = Vec::new();
    for round in 0..2 {
        for victim in ["leader", "follower", "all"] {
            let key = format!("{victim}-{round}");
            let value = format!("before the kill {round}");
            let leader = cluster.leader();
            write(&cluster, (leader + 2) % 3, &key, &value);
            written.push((key, value));
            match victim {
                "all" => {
                    cluster.kill_all();
                    cluster.start_all();
                }
                _ => {
                    let at = if victim == "leader" { leader } else { (leader + 1) % 3 };
                    cluster.kill(at);
                    let key = format!("{victim}-{round}-meanwhile");
                    write(&cluster, (leader + 2) % 3, &key, "by two of three");
                    written.push((key, "by two of three".to_owned()));
                    cluster.start(at);
                }
            }
            cluster.wait_ready();
        }
    }
    assert_reads(&cluster, &written);
}

#[test]
fn a_cluster_stopped_in_order_goes_on_where_it_was() {
    let mut cluster = Cluster::started(3);
    write(&cluster, 0, "k", "v");
    for at in 0..3 {
        assert_eq!(cluster.stop(at).code(), Some(0), "{}", cluster.said(at));
    }
    cluster.start_all();
    cluster.wait_ready();
    assert_reads(&cluster, &[("k".to_owned(), "v".to_owned())]);
}

#[test]
fn an_orderly_stop_answers_all_that_was_accepted() {
    const SENT: usize = 3_000;
    for nodes in [1, 3] {
        let mut cluster = Cluster::started(nodes);
        let leader = cluster.leader();
        let mut client = cluster.client(leader);
        let incr: &[&str] = &["INCR", "n"];
        client.send(&vec![incr; SENT]).unwrap();
        assert_eq!(cluster.stop(leader).code(), Some(0), "{}", cluster.said(leader));
        let mut answered: i64 = 0;
        while let Ok(reply) = client.receive() {
            answered += 1;
            assert_eq!(reply, Reply::Integer(answered));
        }
        cluster.start(leader);
        cluster.wait_ready();
        let counted = cluster.client(leader).ask(&["GET", "n"]);
        let expected = if answered == 0 { Reply::Null } else { bulk(&answered.to_string()) };
        assert_eq!(counted, expected, "executed and not answered, or the other way round");
    }
}

#[test]
fn a_member_that_missed_writes_catches_up() {
    let mut cluster = Cluster::started(3);
    let late = cluster.follower();
    cluster.kill(late);
    let present = cluster.leader();
    for number in 0..300 {
        write(&cluster, present, "k", &number.to_string());
    }
    cluster.start(late);
    cluster.wait_ready();
    assert_eq!(cluster.client(late).ask(&["GET", "k"]), bulk("299"));
}
