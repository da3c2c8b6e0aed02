//! Where a demo cluster lives: its directory and its ports.
//!
//! `DIR/node-1`, `DIR/node-2`, … are data directories, `DIR/node-1.log`, … what
//! the nodes said, and `DIR/cluster.json` keeps the ports: they are part of the
//! members' addresses, so the next demo on `DIR` must use them again.
//!
//! Not here: the processes (`process.rs`).

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process::clock::wall;
use crate::process::failure::Failure;

const PORTS_FILE: &str = "cluster.json";

/// One node's ports, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct NodePorts {
    pub(super) client: u16,
    pub(super) peer: u16,
    pub(super) admin: u16,
}

#[derive(Debug, Deserialize, Serialize)]
struct PortsFile {
    groups: u64,
    nodes: Vec<NodePorts>,
}

/// A demo cluster's place.
#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
    ports: Vec<NodePorts>,
    groups: u64,
    /// How many of the nodes are the first members; the others join.
    founders: usize,
    /// Whether this demo chose the ports.
    pub(super) is_new: bool,
}

impl Layout {
    /// Finds the cluster of an earlier demo in `dir`, or prepares a new one.
    ///
    /// # Errors
    /// A directory that cannot be used, or holds another kind of cluster.
    pub(super) fn open(dir: &Path, nodes: usize, groups: u64) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(|error| unusable(dir, &error.to_string()))?;
        // Children are started with this path, and messages show it.
        let dir = dir.canonicalize().map_err(|error| unusable(dir, &error.to_string()))?;
        let path = dir.join(PORTS_FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::found(dir, &bytes, nodes, groups),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut layout =
                    Self { dir, ports: Vec::new(), groups, founders: nodes, is_new: true };
                layout.choose_ports(nodes)?;
                Ok(layout)
            }
            Err(error) => Err(unusable(&path, &error.to_string())),
        }
    }

    fn found(dir: PathBuf, bytes: &[u8], nodes: usize, groups: u64) -> Result<Self, Failure> {
        let path = dir.join(PORTS_FILE);
        let file: PortsFile =
            serde_json::from_slice(bytes).map_err(|error| unusable(&path, &error.to_string()))?;
        if file.nodes.len() != nodes || file.groups != groups {
            return Err(Failure::config(format!(
                "{} holds a cluster of {} nodes and {} groups, asked for were {nodes} and \
                 {groups}; say --nodes {} --groups {}, or choose another --data-dir",
                dir.display(),
                file.nodes.len(),
                file.groups,
                file.nodes.len(),
                file.groups,
            )));
        }
        Ok(Self { dir, ports: file.nodes, groups, founders: nodes, is_new: false })
    }

    /// Takes free ports, and remembers them. Between now and the nodes' own
    /// bind somebody else may take one: then the caller chooses again.
    ///
    /// # Errors
    /// No free ports, or the directory cannot be written.
    pub(super) fn choose_ports(&mut self, nodes: usize) -> Result<(), Failure> {
        let mut ports = FreePorts::new();
        let mut node = || -> std::io::Result<NodePorts> {
            Ok(NodePorts { client: ports.next()?, peer: ports.next()?, admin: ports.next()? })
        };
        self.ports = (0..nodes).map(|_| node()).collect::<Result<_, _>>().map_err(|error| {
            Failure::runtime(format!(
                "no free ports on 127.0.0.1: {error}; close some programs and try again"
            ))
        })?;
        let file = PortsFile { groups: self.groups, nodes: self.ports.clone() };
        let path = self.dir.join(PORTS_FILE);
        let text = serde_json::to_string_pretty(&file)
            .map_err(|error| unusable(&path, &error.to_string()))?;
        fs::write(&path, text).map_err(|error| unusable(&path, &error.to_string()))
    }

    /// The same, with the last `spares` nodes no first members.
    pub(super) fn with_spares(self, spares: usize) -> Self {
        Self { founders: self.ports.len().saturating_sub(spares), ..self }
    }

    pub(super) fn founders(&self) -> usize {
        self.founders
    }

    /// Where a node keeps its data; its id counts from 1.
    pub(super) fn data_dir(&self, id: usize) -> PathBuf {
        self.dir.join(format!("node-{id}"))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn groups(&self) -> u64 {
        self.groups
    }

    /// The nodes' ports, node 1 first.
    pub(super) fn ports(&self) -> &[NodePorts] {
        &self.ports
    }

    /// Where clients connect, node 1 first.
    pub(super) fn client_addresses(&self) -> Vec<SocketAddr> {
        let local = |ports: &NodePorts| SocketAddr::from((Ipv4Addr::LOCALHOST, ports.client));
        self.ports.iter().map(local).collect()
    }

    /// The list that the first members are started with.
    pub(super) fn initial_members(&self) -> String {
        let members: Vec<String> = (1..)
            .zip(self.ports.iter().take(self.founders))
            .map(|(id, ports): (u64, _)| format!("{id}=127.0.0.1:{}", ports.peer))
            .collect();
        members.join(",")
    }

    /// Removes what the nodes wrote; for a new cluster whose ports were taken.
    pub(super) fn clear_nodes(&self) {
        for id in 1..=self.ports.len() {
            // What is not there need not go; what stays refuses by itself.
            let _ = fs::remove_dir_all(self.data_dir(id));
        }
    }

    /// Bytes that the data directories take on disk.
    pub(super) fn data_bytes(&self) -> u64 {
        (1..=self.ports.len()).map(|id| bytes_below(&self.data_dir(id))).sum()
    }
}

/// Ports of 127.0.0.1 that are free and stay so: not from the range that the
/// system gives to connections, or a client's connection could sit on the port
/// of a node that is down for a moment.
struct FreePorts {
    candidate: u16,
    /// Held until all are chosen, so that none is given out twice.
    held: Vec<TcpListener>,
}

impl FreePorts {
    /// Above the ports of well-known services, below 32 768, where Linux begins
    /// to take ports for connections.
    const RANGE: Range<u16> = 10_000..32_000;

    fn new() -> Self {
        // Demos that run at once begin at different places.
        let place = u64::from(std::process::id()).wrapping_mul(7_919) ^ wall().0;
        let len = u64::from(Self::RANGE.end - Self::RANGE.start);
        let offset = u16::try_from(place % len).unwrap_or(0);
        Self { candidate: Self::RANGE.start + offset, held: Vec::new() }
    }

    fn next(&mut self) -> std::io::Result<u16> {
        for _ in Self::RANGE {
            self.candidate += 1;
            if self.candidate >= Self::RANGE.end {
                self.candidate = Self::RANGE.start;
            }
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, self.candidate)) {
                self.held.push(listener);
                return Ok(self.candidate);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }
}

fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn unusable(path: &Path, why: &str) -> Failure {
    Failure::config(format!(
        "{} cannot be used for a demo: {why}; choose another --data-dir",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::Layout;

    #[test]
    fn the_next_demo_on_a_directory_finds_the_same_ports_or_refuses_another_shape() {
        let dir = tempfile::tempdir().unwrap();
        let first = Layout::open(dir.path(), 3, 1).unwrap();
        let second = Layout::open(dir.path(), 3, 1).unwrap();
        assert!(first.is_new && !second.is_new);
        assert_eq!(first.ports(), second.ports());
        let refusal = Layout::open(dir.path(), 5, 1).unwrap_err();
        assert!(refusal.message.contains("--nodes 3"), "{}", refusal.message);
    }

    #[test]
    fn no_two_ports_are_alike() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), 9, 1).unwrap();
        let mut all: Vec<u16> =
            layout.ports().iter().flat_map(|node| [node.client, node.peer, node.admin]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 27);
    }
}
