//! Claims about what an operator may say and what is refused.

use std::time::Duration;

use clap::Parser;

use super::{Config, idle_poll};
use crate::cli::serve::IdlePollChoice;
use crate::cli::{Cli, Command};
use crate::process::failure::{Exit, Failure};

fn config(flags: &[&str]) -> Result<Config, Failure> {
    let args = ["raftlet", "serve"].iter().chain(flags);
    match Cli::try_parse_from(args).unwrap().command {
        Command::Serve(args) => Config::from_args(*args),
        other => unreachable!("parsed {other:?}"),
    }
}

fn refusal(flags: &[&str]) -> String {
    let failure = config(flags).unwrap_err();
    assert_eq!(failure.exit, Exit::Config);
    failure.message
}

#[test]
fn without_flags_a_node_is_a_cluster_of_its_own_on_loopback() {
    let config = config(&[]).unwrap();
    assert_eq!(config.node.get(), 1);
    assert_eq!(config.client.text, "127.0.0.1:7379");
    assert_eq!(config.data_dir, std::path::Path::new("./raftlet-data"));
    assert_eq!(config.initial_members.len(), 1);
    assert_eq!(config.initial_members[0].1, config.peer.text);
    assert!(config.client.socket.ip().is_loopback());
}

#[test]
fn four_segments_lie_between_two_snapshots() {
    let sized = |flags: &[&str]| config(flags).unwrap().log_options().segment_bytes_max >> 20;
    assert_eq!(sized(&[]), 16);
    let told = ["41943040", "1", "1125899906842624"];
    assert_eq!(told.map(|bytes| sized(&["--snapshot-log-bytes", bytes])), [10, 4, 64]);
}

#[test]
fn a_node_looks_before_it_sleeps_where_it_has_two_cores_or_was_told_to() {
    let us = Duration::from_micros;
    assert_eq!(idle_poll(IdlePollChoice::Auto, 2), us(100));
    assert_eq!(idle_poll(IdlePollChoice::Auto, 1), Duration::ZERO);
    assert_eq!(idle_poll(IdlePollChoice::Us(0), 8), Duration::ZERO);
    assert_eq!(idle_poll(IdlePollChoice::Us(50), 1), us(50));
    assert_eq!(config(&["--idle-poll-us", "7"]).unwrap().idle_poll, us(7));
    assert!("1001".parse::<IdlePollChoice>().is_err());
}

#[test]
fn the_order_of_the_list_does_not_show() {
    let members = |list| config(&["--initial-members", list]).unwrap().initial_members;
    assert_eq!(members("1=127.0.0.1:71,2=127.0.0.1:72"), members("2=127.0.0.1:72, 1=127.0.0.1:71"));
}

#[test]
fn a_node_listens_where_the_list_says_unless_told() {
    let list = "1=127.0.0.1:71,2=127.0.0.1:72";
    let listed = config(&["--node-id", "2", "--initial-members", list]).unwrap();
    assert_eq!(listed.peer.text, "127.0.0.1:72");
    let told =
        config(&["--node-id", "2", "--initial-members", list, "--peer-addr", "127.0.0.1:99"])
            .unwrap();
    assert_eq!(told.peer.text, "127.0.0.1:99");
}

#[test]
fn others_are_told_the_addresses_listened_on_unless_others_are_said() {
    let plain = config(&["--client-addr", "127.0.0.1:71", "--admin-addr", "127.0.0.1:72"]).unwrap();
    assert_eq!(plain.advertised_client, "127.0.0.1:71");
    assert_eq!(plain.advertised_admin, "127.0.0.1:72");
    let said =
        config(&["--advertise-client-addr", "a:1", "--advertise-admin-addr", "b:2"]).unwrap();
    assert_eq!((said.advertised_client.as_str(), said.advertised_admin.as_str()), ("a:1", "b:2"));
}

#[test]
fn every_election_timeout_that_the_flag_allows_can_be_had() {
    for ms in ["300", "1000", "30000", "600000"] {
        config(&["--election-timeout-ms", ms]).unwrap();
    }
}

#[test]
fn what_cannot_stand_is_refused_by_the_name_of_its_flag() {
    let cases: &[(&[&str], &str)] = &[
        (&["--shards", "2"], "--shards 2"),
        (&["--node-id", "0"], "--node-id 0"),
        (&["--groups", "0"], "--groups"),
        (&["--cluster-name", ""], "--cluster-name"),
        (&["--client-addr", "0.0.0.0:7379"], "--insecure-bind"),
        (&["--client-addr", "nonsense"], "--client-addr nonsense"),
        (&["--advertise-client-addr", "host"], "--advertise-client-addr host"),
        (&["--advertise-admin-addr", "host"], "--advertise-admin-addr host"),
        (&["--node-id", "3", "--initial-members", "1=h:1"], "node 3"),
        (&["--initial-members", "1=h:1,1=h:2"], "listed twice"),
        (&["--initial-members", "1=h:1,2=h:1"], "listed twice"),
        (&["--initial-members", "1=h"], "a port"),
        (&["--initial-members", "x=h:1"], "whole number"),
        (&["--initial-members", "h:1"], "'='"),
        (&["--initial-members", ","], "members"),
        (
            &["--election-timeout-ms", "100", "--heartbeat-interval-ms", "90"],
            "--heartbeat-interval-ms 90",
        ),
    ];
    for (flags, names) in cases {
        let message = refusal(flags);
        assert!(message.contains(names), "{flags:?} said: {message}");
    }
}

#[test]
fn beyond_loopback_a_node_listens_only_when_told_so() {
    let exposed = config(&["--client-addr", "0.0.0.0:7379", "--insecure-bind"]).unwrap().exposed();
    assert_eq!(exposed.len(), 1, "{exposed:?}");
    assert!(exposed[0].contains("--client-addr 0.0.0.0:7379"), "{exposed:?}");
    assert!(config(&[]).unwrap().exposed().is_empty());
}

#[test]
fn a_list_that_leaves_the_node_out_is_refused_at_a_first_start_only() {
    // Rule 2
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let flags = ["--node-id", "4", "--initial-members", "1=h:1,2=h:2", "--data-dir", place];
    assert!(refusal(&flags).contains("add 4=HOST:PORT"));
    std::fs::write(dir.path().join("IDENTITY"), "").unwrap();
    let later = config(&flags).unwrap();
    assert_eq!(later.initial_members.len(), 2);
    assert!(!later.is_peer_said, "the list does not say where this node is");
}
