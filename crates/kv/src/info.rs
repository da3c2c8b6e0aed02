//! The text of `INFO`.
//!
//! Sections and fields that clients look for, under Redis's names, with
//! numbers that the server fills into a [`NodeInfo`]. A field that would only
//! be made up is left out.

use std::fmt::Write;

/// The version of Redis whose replies raftlet gives.
pub const REDIS_VERSION: &str = "7.0.15";

/// What `INFO` can tell of a node. The server fills it when asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's number in the cluster.
    pub node_id: u64,
    /// The operating system's number of the process.
    pub process_id: u32,
    /// A random number of this start, in 40 hex digits.
    pub run_id: String,
    /// Where clients connect.
    pub tcp_port: u16,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Connections of clients now.
    pub clients_len: u64,
    /// How many there may be.
    pub clients_len_max: u64,
    /// Connections of clients since the start.
    pub connections_accepted: u64,
    /// Requests since the start.
    pub commands_processed: u64,
    /// Bytes that keys and values take on this node.
    pub used_memory_bytes: u64,
    /// Keys on this node.
    pub keys_len: u64,
    /// Of those, how many have a deadline.
    pub deadlines_len: u64,
    /// Groups in the cluster.
    pub groups_len: u64,
    /// Groups that this node leads now.
    pub groups_led: u64,
}

type WriteSection = fn(&NodeInfo, &mut String) -> std::fmt::Result;

/// Sections in the order they are shown, each with the name it is asked by.
const SECTIONS: &[(&str, WriteSection)] = &[
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cluster", cluster),
    ("keyspace", keyspace),
    ("raft", raft),
];

impl NodeInfo {
    /// The text of the sections of these names; of all, if none is named.
    pub(crate) fn text(&self, names: &[String]) -> String {
        let all = ["all", "default", "everything"];
        let wants_all = names.is_empty() || names.iter().any(|name| all.contains(&name.as_str()));
        let mut text = String::new();
        for (name, write) in SECTIONS {
            if wants_all || names.iter().any(|wanted| wanted == name) {
                if !text.is_empty() {
                    text.push_str("\r\n");
                }
                write(self, &mut text).expect("a String takes everything");
            }
        }
        text
    }
}

fn server(info: &NodeInfo, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nraftlet_version:{}\r\nredis_mode:cluster\r\n\
         arch_bits:{}\r\nprocess_id:{}\r\nrun_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\n\
         uptime_in_days:{}\r\n",
        env!("CARGO_PKG_VERSION"),
        usize::BITS,
        info.process_id,
        info.run_id,
        info.tcp_port,
        info.uptime_s,
        info.uptime_s / 86_400,
    )
}

fn clients(info: &NodeInfo, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "# Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:0\r\n",
        info.clients_len, info.clients_len_max
    )
}

fn memory(info: &NodeInfo, text: &mut String) -> std::fmt::Result {
    write!(text, "# Memory\r\nused_memory:{}\r\n", info.used_memory_bytes)
}

fn persistence(_: &NodeInfo, text: &mut String) -> std::fmt::Result {
    text.write_str("# Persistence\r\nloading:0\r\n")
}

fn stats(info: &NodeInfo, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n",
        info.connections_accepted, info.commands_processed
    )
}

/// Every node takes writes, so each calls itself a master that nobody follows.
fn replication(_: &NodeInfo, text: &mut String) -> std::fmt::Result {
    text.write_str("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n")
}

fn cluster(_: &NodeInfo, text: &mut String) -> std::fmt::Result {
    text.write_str("# Cluster\r\ncluster_enabled:1\r\n")
}

fn keyspace(info: &NodeInfo, text: &mut String) -> std::fmt::Result {
    text.write_str("# Keyspace\r\n")?;
    if info.keys_len == 0 {
        return Ok(());
    }
    write!(text, "db0:keys={},expires={},avg_ttl=0\r\n", info.keys_len, info.deadlines_len)
}

fn raft(info: &NodeInfo, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "# Raft\r\nraft_node_id:{}\r\nraft_groups:{}\r\nraft_groups_led:{}\r\n",
        info.node_id, info.groups_len, info.groups_led
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        NodeInfo { keys_len: 3, ..NodeInfo::default() }.text(&names)
    }

    #[test]
    fn info_holds_what_clients_wait_for() {
        let text = text(&[]);
        for line in [
            "redis_version:7.0.15",
            "raftlet_version:0.1.0",
            "loading:0",
            "role:master",
            "cluster_enabled:1",
            "db0:keys=3,expires=0,avg_ttl=0",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "no {line} in {text}");
        }
        assert_eq!(self::text(&["everything"]), text);
    }

    #[test]
    fn info_shows_the_sections_asked_for_and_no_others() {
        assert_eq!(text(&["persistence"]), "# Persistence\r\nloading:0\r\n");
        assert_eq!(
            text(&["cluster", "persistence", "nonsense"]),
            "# Persistence\r\nloading:0\r\n\r\n# Cluster\r\ncluster_enabled:1\r\n"
        );
        assert_eq!(text(&["nonsense"]), "");
    }
}
