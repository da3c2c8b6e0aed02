//! Leadership handed over: by an operator, and by a node that stops (rule 36).

use crate::client::bulk;
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

/// Runs `raftlet leader transfer` against a node; what it printed, if it ended
/// well.
fn transfer(cluster: &Cluster, at: usize, args: &[&str]) -> Result<String, String> {
    let mut command = raftlet();
    command.args(["leader", "transfer", "--admin", &cluster.admin_address(at)]).args(args);
    let output = command.run();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn an_operator_moves_leadership_by_asking_any_node() {
    let cluster = Cluster::started(3);
    let (leader, follower) = (cluster.leader(), cluster.follower());
    let to = (follower + 1).to_string();
    let said = transfer(&cluster, leader, &["--to", &to]).unwrap();
    assert!(said.contains(&format!("node {to} leads")), "{said}");
    wait_until("the named node leads", || cluster.leader() == follower);
    assert_eq!(cluster.client(leader).ask(&["SET", "k", "v"]), Reply::OK);
    // The node asked does not lead: the command goes on to the one that does.
    let back = (leader + 1).to_string();
    let said = transfer(&cluster, leader, &["--group", "1", "--to", &back]).unwrap();
    assert!(said.contains(&format!("node {back} leads")), "{said}");
    wait_until("the former leader leads again", || cluster.leader() == leader);
    assert_eq!(cluster.client(follower).ask(&["GET", "k"]), bulk("v"));
}

#[test]
fn a_transfer_that_cannot_be_is_refused_in_words() {
    let cluster = Cluster::started(3);
    let refusal = transfer(&cluster, cluster.leader(), &["--to", "9"]).unwrap_err();
    assert!(refusal.contains("did not change"), "{refusal}");
    let refusal = transfer(&cluster, 0, &["--group", "7"]).unwrap_err();
    assert!(refusal.contains("no group 7"), "{refusal}");
}

#[test]
fn a_node_that_is_told_to_stop_hands_leadership_over_first() {
    let mut cluster = Cluster::started(3);
    for _ in 0..2 {
        let leader = cluster.leader();
        let term = cluster.term();
        assert!(!cluster.client(leader).ask(&["INCR", "n"]).is_error());
        assert!(cluster.stop(leader).success());
        let said = cluster.said(leader);
        assert!(said.contains("handed over"), "{said}");
        // One election, and not one for want of a leader.
        assert!(cluster.leader() != leader);
        assert_eq!(cluster.term(), term + 1);
        cluster.start(leader);
        cluster.wait_ready();
    }
    let mut client = cluster.client(0);
    assert_eq!(client.ask(&["GET", "n"]), bulk("2"));
}
