//! Keys lapse on every node, by the log's time and by nobody's own clock
//! (rule 31).

use crate::client::{Client, bulk};
use crate::cluster::{Cluster, undisturbed};
use crate::waiting::wait_until;
use raftlet_kv::Reply;

fn integer(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(value) => *value,
        other => panic!("not a number: {other:?}"),
    }
}

/// What this node's own machine holds: `INFO` asks no group.
fn keys_held(client: &mut Client) -> String {
    match client.ask(&["INFO", "keyspace"]) {
        Reply::Bulk(text) | Reply::Verbatim(text) => String::from_utf8_lossy(&text).into_owned(),
        other => panic!("not a text: {other:?}"),
    }
}

#[test]
fn a_key_with_a_deadline_is_gone_from_every_node_without_another_write() {
    let cluster = Cluster::started(3);
    let mut clients: Vec<Client> = (0..3).map(|node| cluster.client(node)).collect();
    assert_eq!(clients[0].ask(&["SET", "stays", "1"]), Reply::OK);
    assert_eq!(clients[0].ask(&["SET", "lapses", "1", "PX", "100"]), Reply::OK);
    for (node, client) in clients.iter_mut().enumerate() {
        wait_until(&format!("node {node} has removed the key"), || {
            keys_held(client).contains("db0:keys=1,expires=0")
        });
        assert_eq!(client.ask(&["MGET", "lapses", "stays"]), {
            Reply::Array(vec![Reply::Null, bulk("1")])
        });
    }
}

/// The deadline is compared on the log's own time: `PEXPIRETIME` tells when it
/// is, and the log's time as of an entry follows from what `PTTL` says is left
/// there.
#[test]
fn a_key_is_there_until_log_time_has_come_to_its_deadline() {
    let cluster = Cluster::started(3);
    let lateness_ms = undisturbed(&cluster, || {
        let mut client = cluster.client(cluster.follower());
        let clock = |client: &mut Client| {
            // Two pipelined writes make the question an entry too.
            client
                .send(&[
                    &["SET", "far", "1", "PXAT", "99999999999999"],
                    &["PTTL", "far"],
                    &["SET", "other", "1"],
                ])
                .unwrap();
            client.receive().unwrap();
            let left_ms = integer(&client.receive().unwrap());
            client.receive().unwrap();
            99_999_999_999_999 - left_ms
        };
        clock(&mut client);
        client.ask(&["SET", "lapses", "1", "PX", "100"]);
        let deadline_ms = integer(&client.ask(&["PEXPIRETIME", "lapses"]));
        wait_until("the key is gone", || client.ask(&["EXISTS", "lapses"]) == Reply::Integer(0));
        Some(clock(&mut client) - deadline_ms)
    });
    assert!(lateness_ms >= 0, "a key was gone {lateness_ms} ms before its deadline");
}

#[test]
fn deadlines_outlive_their_leader() {
    let mut cluster = Cluster::started(3);
    let leader = cluster.leader();
    assert_eq!(cluster.client(leader).ask(&["SET", "k", "1", "PX", "1500"]), Reply::OK);
    cluster.kill(leader);
    for node in (0..3).filter(|node| *node != leader) {
        let mut client = cluster.client(node);
        wait_until("the key is gone after a takeover", || client.ask(&["GET", "k"]) == Reply::Null);
        wait_until("it is removed as well", || !keys_held(&mut client).contains("db0"));
    }
}

#[test]
fn a_deadline_that_passed_while_all_nodes_were_down_is_found_at_the_start() {
    let mut cluster = Cluster::started(1);
    assert_eq!(cluster.client(0).ask(&["SET", "k", "1", "PX", "300"]), Reply::OK);
    cluster.kill(0);
    cluster.start(0);
    cluster.wait_ready();
    let mut client = cluster.client(0);
    wait_until("the key is gone", || client.ask(&["EXISTS", "k"]) == Reply::Integer(0));
}

#[test]
fn without_deadlines_no_entry_is_proposed() {
    let cluster = Cluster::started(3);
    let node = cluster.leader();
    let mut client = cluster.client(node);
    assert_eq!(client.ask(&["SET", "k", "1", "PX", "100"]), Reply::OK);
    wait_until("the key is gone", || client.ask(&["EXISTS", "k"]) == Reply::Integer(0));
    let applied = || cluster.status(node).unwrap()["groups"][0]["applied_index"].as_u64();
    // The last entries of time, of the seed or of a leader may still be under
    // way. Then nothing comes, for as long as several entries of time would take.
    let (mut last, mut looks_alike) = (applied(), 0);
    wait_until("no entry is proposed any more", || {
        let now = applied();
        looks_alike = if now.is_some() && now == last { looks_alike + 1 } else { 0 };
        last = now;
        looks_alike > 50
    });
}
