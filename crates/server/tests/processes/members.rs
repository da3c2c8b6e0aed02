//! Members that come and go: by command, under load, and as the remedy for a
//! node that lost its disk.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::client::{Client, bulk, error_text};
use crate::cluster::{Cluster, http_get, raftlet};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

/// Runs `raftlet member ..` against a node; what it printed, if it ended well.
fn member(cluster: &Cluster, at: usize, args: &[&str]) -> Result<String, String> {
    let mut command = raftlet();
    command.arg("member").args(args).args(["--admin", &cluster.admin_address(at)]);
    let output = command.run();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Has a member changed, again where leaders changed on the way.
fn change(cluster: &Cluster, at: usize, args: &[&str]) {
    wait_until("the members are as asked", || member(cluster, at, args).is_ok());
}

/// Starts a node, waits until it is a learner, makes it a voter.
fn grow(cluster: &mut Cluster, at: usize, by: usize) {
    cluster.join(at, by);
    let node = (at + 1).to_string();
    let seat = format!("node {node} ");
    wait_until("the new node is a member", || {
        member(cluster, by, &["list"]).is_ok_and(|list| list.contains(&seat))
    });
    change(cluster, by, &["promote", &node]);
}

/// Writers, each with keys of its own, on whichever node answers.
struct Load {
    ends: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(addresses: &Arc<Mutex<Vec<SocketAddr>>>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let writers = (0..4).map(|writer| {
            let (ends, addresses) = (Arc::clone(&ends), Arc::clone(addresses));
            thread::spawn(move || write(writer, &ends, &addresses))
        });
        Self { writers: writers.collect(), ends }
    }

    /// The keys whose write was acknowledged.
    fn stop(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    }
}

fn write(writer: usize, ends: &AtomicBool, addresses: &Mutex<Vec<SocketAddr>>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut client: Option<Client> = None;
    for number in 0_usize.. {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        if client.is_none() {
            let all = addresses.lock().unwrap().clone();
            client = Client::connect(all[(writer + number) % all.len()]).ok();
        }
        let key = format!("w{writer}:{number}");
        match client.as_mut().map(|client| client.try_ask(&["SET", &key, &key])) {
            Some(Ok(reply)) if reply == Reply::OK => acknowledged.push(key),
            _ => client = None,
        }
    }
    acknowledged
}

#[test]
fn every_first_member_is_replaced_under_load_and_no_write_is_lost() {
    let mut cluster = Cluster::growing(3, 6);
    let addresses: Vec<_> = (0..3).map(|at| cluster.client_address(at)).collect();
    let addresses = Arc::new(Mutex::new(addresses));
    let load = Load::start(&addresses);
    // 3 -> 5, then one in for one out until none of the first is left.
    for new in [3, 4] {
        grow(&mut cluster, new, 0);
        addresses.lock().unwrap().push(cluster.client_address(new));
    }
    let leader = cluster.leader();
    let removed: Vec<usize> = [leader, 0, 1, 2].into_iter().filter(|at| *at < 3).collect();
    let mut gone = Vec::new();
    for old in removed {
        if gone.contains(&old) {
            continue;
        }
        if gone.len() == 2 {
            grow(&mut cluster, 5, 4);
            addresses.lock().unwrap().push(cluster.client_address(5));
        }
        // Asked of one who stays; the leader goes first where it was a first
        // member.
        change(&cluster, 4, &["remove", &(old + 1).to_string()]);
        let address = cluster.client_address(old);
        addresses.lock().unwrap().retain(|known| *known != address);
        cluster.kill(old);
        gone.push(old);
    }
    let acknowledged = load.stop();
    assert!(acknowledged.len() > 100, "only {} writes", acknowledged.len());
    let list = member(&cluster, 5, &["list"]).unwrap();
    for (at, is_member) in [(0, false), (1, false), (2, false), (3, true), (4, true), (5, true)] {
        let seat = format!("node {} ", at + 1);
        assert_eq!(list.matches("voter").count(), 3, "{list}");
        assert_eq!(list.contains(&seat), is_member, "{list}");
    }
    let mut client = cluster.client(3);
    let lost = acknowledged.iter().filter(|key| client.ask(&["GET", key]) != bulk(key)).count();
    assert_eq!(lost, 0, "of {} acknowledged", acknowledged.len());
    // The cluster of the new ones survives a restart of all of them: whom they
    // know is what their logs say.
    cluster.kill_all();
    for at in 3..6 {
        cluster.start(at);
    }
    cluster.wait_ready();
    let key = acknowledged.last().unwrap();
    assert_eq!(cluster.client(4).ask(&["GET", key]), bulk(key));
}

#[test]
fn a_wiped_node_comes_back_as_a_new_member_by_the_remedy_that_its_refusal_names() {
    let mut cluster = Cluster::growing(3, 4);
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
    let wiped = (cluster.leader() + 1) % 3;
    let asked = cluster.leader();
    cluster.kill(wiped);
    fs::remove_dir_all(cluster.data_dir(wiped)).unwrap();
    cluster.start(wiped);
    assert!(!cluster.ended(wiped).success());
    let said = cluster.said(wiped);
    let remove = format!("raftlet member remove {}", wiped + 1);
    for remedy in [&*remove, "serve --node-id NEW --join", "raftlet member promote NEW"] {
        assert!(said.contains(remedy), "{said}");
    }
    change(&cluster, asked, &["remove", &(wiped + 1).to_string()]);
    grow(&mut cluster, 3, asked);
    cluster.wait_ready();
    assert_eq!(cluster.client(3).ask(&["GET", "k"]), bulk("v"));
}

#[test]
fn what_cannot_be_done_to_members_is_said_in_words() {
    let cluster = Cluster::started(3);
    let refused = |args: &[&str]| member(&cluster, 0, args).unwrap_err();
    assert!(refused(&["promote", "9"]).contains("node 9 is no member"));
    assert!(refused(&["cancel"]).contains("no change"));
    assert!(refused(&["promote", "1", "--group", "7"]).contains("no such group"));
    let wiped = ["add", "2", "--peer-addr", "127.0.0.1:1", "--incarnation", "ff"];
    assert!(refused(&wiped).contains("under another incarnation"));
    // What is so already is done.
    assert!(member(&cluster, 1, &["remove", "9"]).unwrap().contains("done"));
    assert!(member(&cluster, 2, &["promote", "3"]).unwrap().contains("done"));
    assert!(refused(&["update", "2"]).contains("--peer-addr"));
    assert!(error_text(&cluster.client(0).ask(&["SET", "k", "v"])).is_empty());
}

#[test]
fn leadership_moves_to_the_member_that_an_operator_prefers_and_writes_go_on() {
    let cluster = Cluster::started(3);
    let (leader, preferred) = (cluster.leader(), cluster.follower());
    let node = (preferred + 1).to_string();
    let said = member(&cluster, leader, &["update", &node, "--priority", "200"]).unwrap();
    assert!(said.contains("done"), "{said}");
    let list = member(&cluster, leader, &["list"]).unwrap();
    let line = list.lines().find(|line| line.contains(&format!("node {node} ")));
    assert!(line.is_some_and(|line| line.contains("priority 200")), "{list}");
    let mut client = cluster.client(leader);
    let mut written = 0;
    wait_until("the preferred node leads", || {
        written += u64::from(!client.ask(&["INCR", "n"]).is_error());
        cluster.leader() == preferred
    });
    assert_eq!(cluster.client(preferred).ask(&["GET", "n"]), bulk(&written.to_string()));
}

#[test]
fn a_node_that_was_removed_says_so_to_clients_and_operators() {
    let mut cluster = Cluster::growing(3, 3);
    let (leader, gone) = (cluster.leader(), cluster.follower());
    let mut client = cluster.client(gone);
    assert_eq!(client.ask(&["SET", "k", "v"]), Reply::OK);
    change(&cluster, leader, &["remove", &(gone + 1).to_string()]);
    wait_until("it knows", || {
        cluster.status(gone).is_some_and(|status| status["groups"][0]["role"] == "removed")
    });
    for request in [&["SET", "k", "w"][..], &["GET", "k"]] {
        let refusal = error_text(&client.ask(request));
        assert!(refusal.starts_with("CLUSTERDOWN this node was removed"), "{refusal}");
    }
    // Where to go instead.
    let nodes = client.ask(&["CLUSTER", "NODES"]);
    let others = (0..3).filter(|at| *at != gone).map(|at| cluster.client_address(at).to_string());
    for other in others {
        assert!(format!("{nodes:?}").contains(&other), "{nodes:?}");
    }
    let port = cluster.admin_address(gone).rsplit_once(':').unwrap().1.parse().unwrap();
    let (code, text) = http_get(port, "/readyz").unwrap();
    assert_eq!(code, 503, "{text}");
    assert!(text.contains("[-]member failed") && text.contains("under a new id"), "{text}");
    assert!(cluster.said(gone).contains("this node was removed from the group"));
    // It is of no more use, and stops as any other.
    assert_eq!(cluster.stop(gone).code(), Some(0), "{}", cluster.said(gone));
    assert_eq!(cluster.client(leader).ask(&["GET", "k"]), bulk("v"));
}
