//! Clients of real nodes: passwords, limits, one another, and the cluster as
//! it is told to them.

use crate::client::{bulk, error_text};
use crate::cluster::{Cluster, undisturbed};
use crate::waiting::wait_until;
use raftlet_kv::Reply;

#[test]
fn every_node_tells_where_clients_reach_the_leader() {
    let cluster = Cluster::started(3);
    for at in 0..3 {
        wait_until("the leader's client address is known", || {
            let leader = cluster.leader();
            let Reply::Array(rows) = cluster.client(at).ask(&["CLUSTER", "SLOTS"]) else {
                panic!("rows");
            };
            let [Reply::Array(row)] = &rows[..] else { panic!("one range") };
            let Reply::Array(node) = &row[2] else { panic!("a node") };
            let address = cluster.client_address(leader);
            node[0] == bulk(&address.ip().to_string())
                && node[1] == Reply::Integer(i64::from(address.port()))
        });
        let nodes = cluster.client(at).ask(&["CLUSTER", "NODES"]);
        let Reply::Bulk(text) = nodes else { panic!("{nodes:?}") };
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(text.matches("master").count(), 1, "{text}");
        assert!(text.contains("myself,"), "{text}");
    }
}

#[test]
fn a_transaction_holds_at_every_node_and_a_watched_change_stops_it() {
    let cluster = Cluster::started(3);
    undisturbed(&cluster, || {
        let mut client = cluster.client(cluster.follower());
        let mut other = cluster.client(cluster.leader());
        let transaction: [&[&str]; 4] = [&["MULTI"], &["INCR", "n"], &["GET", "n"], &["EXEC"]];
        client.ask(&["SET", "n", "1"]);
        client.ask(&["WATCH", "n"]);
        let [.., through] = transaction.map(|request| client.ask(request));
        client.ask(&["WATCH", "n"]);
        other.ask(&["SET", "n", "7"]);
        let [.., stopped] = transaction.map(|request| client.ask(request));
        let expected = Reply::Array(vec![Reply::Integer(2), bulk("2")]);
        let holds = through == expected && stopped == Reply::NullArray;
        (holds && other.ask(&["GET", "n"]) == bulk("7")).then_some(())
    });
}

#[test]
fn with_a_password_only_who_knows_it_is_served() {
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--requirepass", "sesame", "--auth-timeout-ms", "300"]);
    cluster.start_all();
    cluster.wait_ready();
    let mut stranger = cluster.client(0);
    assert_eq!(error_text(&stranger.ask(&["GET", "k"])), "NOAUTH Authentication required.");
    assert!(error_text(&stranger.ask(&["AUTH", "guess"])).starts_with("WRONGPASS "));
    let mut friend = cluster.client(0);
    assert_eq!(friend.ask(&["AUTH", "sesame"]), Reply::OK);
    assert_eq!(friend.ask(&["SET", "k", "v"]), Reply::OK);
    // A stranger has a moment only; a friend may be silent.
    assert!(stranger.receive().is_err(), "the stranger was kept");
    assert_eq!(friend.ask(&["GET", "k"]), bulk("v"));
    let clients = &cluster.status(0).unwrap()["clients"];
    assert_eq!(clients["wrong_passwords"], 1);
    assert_eq!(clients["unauthenticated_closed"], 1);
}

#[test]
fn a_client_is_killed_by_another_and_nobody_else_notices() {
    let cluster = Cluster::started(1);
    let (mut victim, mut killer) = (cluster.client(0), cluster.client(0));
    assert_eq!(victim.ask(&["CLIENT", "SETNAME", "victim"]), Reply::OK);
    let Reply::Integer(id) = victim.ask(&["CLIENT", "ID"]) else { panic!("an id") };
    let Reply::Bulk(list) = killer.ask(&["CLIENT", "LIST"]) else { panic!("a list") };
    let list = String::from_utf8_lossy(&list).into_owned();
    assert!(list.contains(&format!("id={id} ")) && list.contains(" name=victim "), "{list}");
    assert_eq!(killer.ask(&["CLIENT", "KILL", "ID", &id.to_string()]), Reply::Integer(1));
    assert!(victim.receive().is_err(), "the victim lives");
    assert_eq!(killer.ask(&["PING"]), Reply::simple_static("PONG"));
}

#[test]
fn at_the_limit_of_memory_only_what_grows_is_refused() {
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--maxmemory", "1mb"]);
    cluster.start_all();
    cluster.wait_ready();
    let mut client = cluster.client(0);
    let large = "x".repeat(300_000);
    let refused = (0..10).find_map(|number| {
        let answer = client.ask(&["SET", &format!("k{number}"), &large]);
        answer.is_error().then(|| error_text(&answer))
    });
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(refused.as_deref(), Some(oom));
    assert_eq!(client.ask(&["GET", "k0"]), bulk(&large));
    assert_eq!(client.ask(&["DEL", "k0", "k1", "k2"]), Reply::Integer(3));
    assert_eq!(client.ask(&["SET", "k", "v"]), Reply::OK);
    assert_eq!(cluster.status(0).unwrap()["clients"]["out_of_memory"], 1);
}

#[test]
fn limits_are_settings_with_counters() {
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--client-request-bytes-max", "10kb", "--client-transaction-max", "2"]);
    cluster.start_all();
    cluster.wait_ready();
    let mut client = cluster.client(0);
    client.ask(&["MULTI"]);
    let answers = [(); 3].map(|()| client.ask(&["INCR", "n"]));
    assert!(error_text(&answers[2]).contains("at most 2 commands"), "{answers:?}");
    client.ask(&["DISCARD"]);
    let large = "x".repeat(20_000);
    let answer = client.ask(&["SET", "k", &large]);
    assert!(error_text(&answer).starts_with("ERR Protocol error: "), "{answer:?}");
    assert!(client.receive().is_err(), "the connection lives");
    let clients = &cluster.status(0).unwrap()["clients"];
    assert_eq!(clients["transactions_too_big"], 1);
    assert_eq!(clients["requests_too_big"], 1);
}
