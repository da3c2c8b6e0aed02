//! The connection, its fellows, the node and the cluster, as clients ask.

use std::sync::Arc;

use crate::node::Node;
use raftlet_kv::{
    ClientInfo, ClusterInfo, ClusterNode, Connection, ConnectionInfo, Limits, NodeInfo, Output,
    Password, SlotMap,
};

/// A node of a cluster of three, with one other client.
#[derive(Default)]
struct Host {
    killed: Vec<u64>,
    is_out_of_memory: bool,
}

impl raftlet_kv::Node for Host {
    fn info(&mut self) -> NodeInfo {
        NodeInfo::default()
    }

    fn wall_us(&mut self) -> u64 {
        1_700_000_000_000_042
    }

    fn cluster(&mut self) -> ClusterInfo {
        let node = |node_id: u64| ClusterNode {
            node_id,
            client_addr: Some(format!("h{node_id}:{}", 7_000 + node_id)),
            is_alive: true,
        };
        ClusterInfo {
            cluster_id: 1,
            node_id: 1,
            nodes: (1..=3).map(node).collect(),
            leaders: vec![Some(2)],
            term: 4,
        }
    }

    fn clients(&mut self) -> Vec<ClientInfo> {
        let client = |id: u64| ClientInfo {
            id,
            peer_addr: format!("peer:{id}"),
            local_addr: "here:1".to_owned(),
            ..ClientInfo::default()
        };
        vec![client(7), client(8)]
    }

    fn kill_clients(&mut self, ids: &[u64]) {
        self.killed.extend(ids);
    }

    fn is_out_of_memory(&mut self) -> bool {
        self.is_out_of_memory
    }
}

struct Client {
    connection: Connection,
    host: Host,
}

impl Client {
    fn new() -> Self {
        let info = ConnectionInfo { id: 7, ..ConnectionInfo::default() };
        let connection = Connection::new(info, Limits::default(), SlotMap::ONE_GROUP);
        Self { connection, host: Host::default() }
    }

    fn with_password(password: &str) -> Self {
        let password = Password::new(password.as_bytes()).map(Arc::new);
        let Self { connection, host } = Self::new();
        Self { connection: connection.with_password(password), host }
    }

    fn ask(&mut self, text: &str) -> String {
        self.connection.input().extend_from_slice(text.replace('\n', "\r\n").as_bytes());
        let mut output = Output::default();
        self.connection.turn(0, &mut self.host, &mut output);
        String::from_utf8_lossy(&output.replies).replace("\r\n", "|")
    }
}

#[test]
fn the_cluster_is_told_as_clients_route_by_it() {
    let mut client = Client::new();
    let id = |node: u64| format!("{}1{node:016x}", "0".repeat(23));
    // The leader, and behind it those to ask when it is dead.
    let described = |node: u64| format!("*4|$2|h{node}|:{}|$40|{}|*0|", 7_000 + node, id(node));
    let nodes = [2, 1, 3].map(described).concat();
    assert_eq!(client.ask("CLUSTER SLOTS\n"), format!("*1|*5|:0|:16383|{nodes}"));
    let shards = client.ask("HELLO 3\nCLUSTER SHARDS\n");
    let leader = id(2);
    assert!(
        shards.contains(&format!("*1|%2|$5|slots|*2|:0|:16383|$5|nodes|*3|%7|$2|id|$40|{leader}|"))
    );
    let roles = ["master", "replica", "replica"].map(|role| shards.find(&format!("|{role}|")));
    assert!(roles.iter().all(Option::is_some) && roles.is_sorted(), "{shards}");
    let text = client.ask("CLUSTER INFO\n");
    assert!(text.starts_with('=') && text.contains("|cluster_state:ok|"), "{text}");
    assert_eq!(client.ask("CLUSTER KEYSLOT foo\n"), ":12182|");
    assert_eq!(client.ask("READONLY\nREADWRITE\nASKING\n"), "+OK|+OK|+OK|");
}

#[test]
fn what_redis_tells_of_itself_is_told() {
    let mut client = Client::new();
    assert_eq!(client.ask("TIME\n"), "*2|$10|1700000000|$2|42|");
    assert_eq!(client.ask("ROLE\n"), "*3|$6|master|:0|*0|");
    // Two of three disks hold what was acknowledged: one beside the first.
    assert_eq!(client.ask("WAIT 1 0\n"), ":1|");
    assert_eq!(client.ask("WAIT x 0\n"), "-ERR value is not an integer or out of range|");
    assert_eq!(client.ask("WAIT 0 -1\n"), "-ERR timeout is negative|");
}

#[test]
fn clients_are_listed_chosen_and_killed() {
    let mut client = Client::new();
    let list = client.ask("CLIENT SETNAME me\nCLIENT LIST\n");
    assert!(list.contains("id=7 addr=peer:7 laddr=here:1 name=me "), "{list}");
    assert!(list.contains(" cmd=client|list ") && list.contains("\nid=8 addr=peer:8 "), "{list}");
    assert!(client.ask("CLIENT LIST ID 8 9\n").contains("id=8 "));
    assert_eq!(client.ask("CLIENT LIST TYPE pubsub\n"), "$0||");
    let long = Client::new().ask("MULTI\nCLIENT INFO\nPING\nEXEC\n");
    assert!(long.contains(" flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 cmd=exec "), "{long}");
    assert_eq!(client.ask("CLIENT KILL x:1\n"), "-ERR No such client|");
    assert_eq!(client.ask("CLIENT KILL ADDR peer:8\n"), ":1|");
    assert_eq!(client.ask("CLIENT KILL ID 9\n"), ":0|");
    assert_eq!(client.ask("CLIENT KILL TYPE normal SKIPME yes\n"), ":1|");
    assert_eq!(client.host.killed, [8, 8]);
    for (request, refusal) in [
        ("CLIENT KILL ID abc", "ERR client-id should be greater than 0"),
        ("CLIENT KILL FOO bar", "ERR syntax error"),
        ("CLIENT KILL ID 1 FOO", "ERR syntax error"),
        ("CLIENT KILL TYPE foo", "ERR Unknown client type 'foo'"),
        ("CLIENT LIST FOO", "ERR syntax error"),
        ("CLIENT LIST ID a", "ERR Invalid client ID"),
    ] {
        assert_eq!(client.ask(&format!("{request}\n")), format!("-{refusal}|"), "{request}");
    }
    assert_eq!(client.ask("CLIENT KILL peer:7\nPING\n"), "+OK|");
    assert!(client.connection.is_finished());
}

#[test]
fn reset_makes_a_connection_as_good_as_new() {
    let mut client = Client::new();
    let reset = client.ask("HELLO 3 SETNAME me\nMULTI\nRESET\nCLIENT GETNAME\nEXEC\n");
    assert!(reset.ends_with("+OK|+RESET|$-1|-ERR EXEC without MULTI|"), "{reset}");
}

#[test]
fn who_does_not_know_the_password_is_served_nothing() {
    let mut client = Client::with_password("sesame");
    let denied = "-NOAUTH Authentication required.|";
    for request in ["PING", "GET k", "INFO", "COMMAND", "CLIENT LIST", "MULTI", "CLUSTER SLOTS"] {
        assert_eq!(client.ask(&format!("{request}\n")), denied, "{request}");
    }
    assert_eq!(client.ask("GET\n"), "-ERR wrong number of arguments for 'get' command|");
    assert!(client.ask("HELLO 3\n").starts_with("-NOAUTH HELLO must be called with"));
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.|";
    for guess in ["AUTH sesam", "AUTH joe sesame", "AUTH default x", "HELLO 3 AUTH default x"] {
        assert_eq!(client.ask(&format!("{guess}\n")), wrong, "{guess}");
    }
    assert_eq!(client.connection.take_refusals().map(|it| it.wrong_passwords), Some(4));
    assert_eq!(
        client.ask("EXEC\n"),
        "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.|"
    );
    assert_eq!(
        client.ask("AUTH sesame\nPING\nRESET\nPING\n"),
        format!("+OK|+PONG|+RESET|{denied}")
    );
    let hello = client.ask("HELLO 3 AUTH default sesame SETNAME x\nCLIENT GETNAME\n");
    assert!(hello.starts_with("%7|") && hello.ends_with("$1|x|"), "{hello}");
}

#[test]
fn guessing_ends_the_connection() {
    let mut client = Client::with_password("sesame");
    let answers = client.ask(&"AUTH x\n".repeat(100));
    assert_eq!(answers.matches("-WRONGPASS").count(), 16);
    assert!(client.connection.is_finished());
}

/// Rule 34: what a stranger may make a node hold is small.
#[test]
fn before_authentication_limits_are_small_and_afterwards_the_nodes() {
    let refused = |bytes: &str| Client::with_password("sesame").ask(bytes);
    let multibulk = "-ERR Protocol error: unauthenticated multibulk length|";
    assert_eq!(refused("*11\n$4\nPING\n"), multibulk);
    assert_eq!(refused("PING 1 2 3 4 5 6 7 8 9 10\n"), multibulk);
    assert_eq!(refused("*1\n$16385\n"), "-ERR Protocol error: unauthenticated bulk length|");
    let mut client = Client::with_password("sesame");
    // Replies that nobody fetches stop after a kilobyte.
    let answers = client.ask(&"HELLO\n".repeat(60));
    assert!(answers.len() < 1_500, "{}", answers.len());
    let mut client = Client::with_password("sesame");
    let large = "x".repeat(20_000);
    let answers = client.ask(&format!("AUTH sesame\n*2\n$4\nECHO\n$20000\n{large}\n"));
    assert!(answers.starts_with("+OK|$20000|xxx"), "{:.60}", answers);
}

#[test]
fn without_memory_only_writes_that_grow_are_refused() {
    let mut client = Client::new();
    client.host.is_out_of_memory = true;
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.|";
    assert_eq!(client.ask("SET k v\nINCR n\nMSET a b\n"), oom.repeat(3));
    assert_eq!(client.ask("PING\n"), "+PONG|");
    let aborted = client.ask("MULTI\nSET k v\nEXEC\n");
    assert!(aborted.starts_with(&format!("+OK|{oom}-EXECABORT ")), "{aborted}");
    assert_eq!(client.connection.take_refusals().map(|it| it.out_of_memory), Some(4));
    // What was queued before counts when it is executed.
    client.host.is_out_of_memory = false;
    client.ask("MULTI\nSET k v\n");
    client.host.is_out_of_memory = true;
    let aborted = client.ask("EXEC\n");
    assert!(aborted.starts_with("-EXECABORT Transaction discarded because of: OOM "), "{aborted}");
    // Reads and removals go on.
    let answers = Node::new().ask("SET k v\r\nDEL k\r\n");
    assert_eq!(answers, "+OK|:1|");
}
