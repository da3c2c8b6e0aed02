//! What `CLUSTER` tells: a view of the groups in the words of Redis Cluster.
//!
//! Redis knows masters, each with ranges of slots, and replicas. Here a node
//! may lead some groups and follow in others, and serves every key whoever
//! leads. So a *master* is a node that leads at least one group; its slots are
//! those groups'; a node that leads nothing is shown as a replica of each
//! leader, so that a client knows whom to ask once its leader is dead. A leader
//! is nobody's replica: some clients file each node under one role.
//!
//! Invariant: every slot is listed with a node that serves it. If a leader is
//! unknown, or where clients reach it, that is the node that is asked: it
//! forwards.
//!
//! Not here: who leads (the server asks its groups).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use crate::command::ClusterRequest;
use crate::node::{ClusterInfo, ClusterNode};
use crate::resp::reply::Reply;
use crate::slot::{SLOTS_LEN, Slot, SlotMap};

/// What a port for nodes adds to the port for clients, in Redis. Nodes here use
/// another; the field is only shown.
const BUS_PORT_OFFSET: u16 = 10_000;

/// Answers one request about the cluster.
pub(crate) fn answer(request: &ClusterRequest, info: &ClusterInfo, slots: SlotMap) -> Reply {
    let view = View { info, slots };
    match request {
        ClusterRequest::Info => Reply::Verbatim(view.info_text().into()),
        ClusterRequest::MyId => Reply::Bulk(view.id_of(info.node_id).into()),
        ClusterRequest::Nodes => Reply::Verbatim(view.nodes_text().into()),
        ClusterRequest::Shards => view.shards(),
        ClusterRequest::Slots => view.slots(),
        ClusterRequest::KeySlot(key) => Reply::Integer(i64::from(Slot::of(key).number())),
        ClusterRequest::Links => Reply::Array(Vec::new()),
    }
}

struct View<'a> {
    info: &'a ClusterInfo,
    slots: SlotMap,
}

/// Where a node is reached.
struct Place<'a> {
    host: &'a str,
    port: u16,
}

impl View<'_> {
    /// Forty hexadecimal digits, as in Redis: of the cluster and of the node.
    fn id_of(&self, node_id: u64) -> String {
        const DIGITS_96: u128 = (1 << 96) - 1;
        format!("{:024x}{node_id:016x}", self.info.cluster_id & DIGITS_96)
    }

    fn node(&self, node_id: u64) -> Option<&ClusterNode> {
        self.info.nodes.iter().find(|node| node.node_id == node_id)
    }

    fn place_of(&self, node_id: u64) -> Option<Place<'_>> {
        let (host, port) = self.node(node_id)?.client_addr.as_ref()?.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Place { host, port: port.parse().ok()? })
    }

    /// Ranges of slots in their order, neighbours of one node as one, with the
    /// node to send requests for them to.
    fn ranges(&self) -> Vec<(Range<u16>, u64)> {
        let mut ranges: Vec<(Range<u16>, u64)> = Vec::new();
        for group in self.slots.groups() {
            let slots = self.slots.slots_of(group);
            let leader = self.info.leaders.get(usize::from(group.number())).copied().flatten();
            let node =
                leader.filter(|id| self.place_of(*id).is_some()).unwrap_or(self.info.node_id);
            match ranges.last_mut() {
                Some((range, last)) if *last == node => range.end = slots.end,
                _ => ranges.push((slots, node)),
            }
        }
        ranges
    }

    fn ranges_by_node(&self) -> BTreeMap<u64, Vec<Range<u16>>> {
        let mut nodes: BTreeMap<u64, Vec<Range<u16>>> = BTreeMap::new();
        for (range, node) in self.ranges() {
            nodes.entry(node).or_default().push(range);
        }
        nodes
    }

    /// Nodes that live and lead nothing; clients may be sent to them, too.
    fn replicas(&self) -> Vec<u64> {
        let masters = self.ranges_by_node();
        let idle = self.info.nodes.iter().filter(|node| {
            let is_met = self.place_of(node.node_id).is_some();
            node.is_alive && is_met && !masters.contains_key(&node.node_id)
        });
        idle.map(|node| node.node_id).collect()
    }

    fn slots(&self) -> Reply {
        let replicas = self.replicas();
        let described = |node: u64| {
            let place = self.place_of(node);
            Reply::Array(vec![
                Reply::Bulk(place.as_ref().map_or("", |it| it.host).to_owned().into()),
                Reply::Integer(place.map_or(0, |it| i64::from(it.port))),
                Reply::Bulk(self.id_of(node).into()),
                Reply::Map(Vec::new()),
            ])
        };
        let rows = self.ranges().into_iter().map(|(range, master)| {
            let mut row = vec![first(&range), last(&range), described(master)];
            row.extend(replicas.iter().map(|node| described(*node)));
            Reply::Array(row)
        });
        Reply::Array(rows.collect())
    }

    fn shards(&self) -> Reply {
        let text = Reply::bulk_static;
        let replicas = self.replicas();
        let described = |node: u64, role: &'static str| {
            let host = self.place_of(node).map_or("", |it| it.host).to_owned();
            let port = self.place_of(node).map_or(0, |it| i64::from(it.port));
            Reply::Map(vec![
                (text("id"), Reply::Bulk(self.id_of(node).into())),
                (text("port"), Reply::Integer(port)),
                (text("ip"), Reply::Bulk(host.clone().into())),
                (text("endpoint"), Reply::Bulk(host.into())),
                (text("role"), text(role)),
                (text("replication-offset"), Reply::Integer(0)),
                (text("health"), text("online")),
            ])
        };
        let shards = self.ranges_by_node().into_iter().map(|(master, ranges)| {
            let bounds = ranges.iter().flat_map(|range| [first(range), last(range)]);
            let mut nodes = vec![described(master, "master")];
            nodes.extend(replicas.iter().map(|node| described(*node, "replica")));
            Reply::Map(vec![
                (text("slots"), Reply::Array(bounds.collect())),
                (text("nodes"), Reply::Array(nodes)),
            ])
        });
        Reply::Array(shards.collect())
    }

    fn nodes_text(&self) -> String {
        let masters = self.ranges_by_node();
        let mut text = String::new();
        for node in &self.info.nodes {
            // Who has never been met here can't be told of.
            let Some(place) = self.place_of(node.node_id) else { continue };
            let ranges = masters.get(&node.node_id);
            let myself = if node.node_id == self.info.node_id { "myself," } else { "" };
            let failed = if node.is_alive { "" } else { ",fail" };
            let (role, master) = match (ranges, masters.keys().next()) {
                (None, Some(master)) => ("slave", self.id_of(*master)),
                _ => ("master", "-".to_owned()),
            };
            let link = if node.is_alive { "connected" } else { "disconnected" };
            write!(
                text,
                "{} {}:{}@{} {myself}{role}{failed} {master} 0 0 {} {link}",
                self.id_of(node.node_id),
                place.host,
                place.port,
                place.port.wrapping_add(BUS_PORT_OFFSET),
                self.info.term,
            )
            .expect("a String takes everything");
            for range in ranges.into_iter().flatten() {
                let end = range.end.saturating_sub(1);
                match range.start {
                    start if start == end => write!(text, " {start}"),
                    start => write!(text, " {start}-{end}"),
                }
                .expect("a String takes everything");
            }
            text.push('\n');
        }
        text
    }

    fn info_text(&self) -> String {
        let is_led = |leader: &Option<u64>| leader.is_some();
        let groups_len = usize::from(self.slots.groups_len());
        let is_ok = self.info.leaders.len() == groups_len && self.info.leaders.iter().all(is_led);
        let state = if is_ok { "ok" } else { "fail" };
        format!(
            "cluster_enabled:1\r\ncluster_state:{state}\r\ncluster_slots_assigned:{SLOTS_LEN}\r\n\
             cluster_slots_ok:{SLOTS_LEN}\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n\
             cluster_known_nodes:{}\r\ncluster_size:{}\r\ncluster_current_epoch:{}\r\n\
             cluster_my_epoch:{}\r\ncluster_stats_messages_sent:0\r\n\
             cluster_stats_messages_received:0\r\n",
            self.info.nodes.len(),
            self.ranges_by_node().len(),
            self.info.term,
            self.info.term,
        )
    }
}

fn first(range: &Range<u16>) -> Reply {
    Reply::Integer(i64::from(range.start))
}

fn last(range: &Range<u16>) -> Reply {
    Reply::Integer(i64::from(range.end) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ClusterInfo {
        let node = |node_id: u64, is_alive| ClusterNode {
            node_id,
            client_addr: Some(format!("host-{node_id}:700{node_id}")),
            is_alive,
        };
        ClusterInfo {
            cluster_id: 5,
            node_id: 2,
            nodes: vec![node(1, true), node(2, true), node(3, false)],
            leaders: vec![Some(1), Some(1), Some(2), Some(1)],
            term: 9,
        }
    }

    fn view(info: &ClusterInfo, groups_len: u64) -> View<'_> {
        View { info, slots: SlotMap::new(groups_len).expect("a number of groups") }
    }

    #[test]
    fn neighbouring_ranges_of_one_leader_are_one_and_cover_all_slots() {
        let ranges = view(&info(), 4).ranges();
        assert_eq!(ranges, [(0..8_192, 1), (8_192..12_288, 2), (12_288..16_384, 1)]);
    }

    #[test]
    fn slots_whose_leader_or_its_address_is_unknown_are_the_asked_nodes() {
        let mut info = info();
        info.leaders = vec![None, Some(1), Some(3), Some(8)];
        info.nodes[2].client_addr = None;
        let ranges = view(&info, 4).ranges();
        assert_eq!(ranges, [(0..4_096, 2), (4_096..8_192, 1), (8_192..16_384, 2)]);
        assert!(view(&info, 4).info_text().contains("cluster_state:fail\r\n"));
    }

    /// Else a client of the cluster knows nobody once its leader is dead.
    #[test]
    fn who_lives_and_leads_nothing_is_listed_behind_each_leader_and_no_leader_is() {
        let mut info = info();
        let nodes_of = |info: &ClusterInfo| {
            let Reply::Array(rows) = view(info, 4).slots() else { panic!("rows") };
            let ports = rows.into_iter().map(|row| {
                let Reply::Array(fields) = row else { panic!("a row") };
                let port = |node: &Reply| match node {
                    Reply::Array(node) => node[1].clone(),
                    other => panic!("not a node: {other:?}"),
                };
                fields.iter().skip(2).map(port).collect::<Vec<_>>()
            });
            ports.collect::<Vec<_>>()
        };
        let [one, two, three] = [7_001, 7_002, 7_003].map(Reply::Integer);
        assert_eq!(nodes_of(&info), [[one.clone()], [two.clone()], [one.clone()]]);
        info.nodes[2].is_alive = true;
        info.leaders[2] = Some(1);
        assert_eq!(nodes_of(&info), [[one, two, three]]);
    }

    #[test]
    fn nodes_are_told_as_masters_of_what_they_lead_or_as_replicas() {
        let zeros = "0".repeat(23);
        let id = |node: u64| format!("{zeros}5{node:016x}");
        assert_eq!(
            view(&info(), 4).nodes_text(),
            format!(
                "{} host-1:7001@17001 master - 0 0 9 connected 0-8191 12288-16383\n\
                 {} host-2:7002@17002 myself,master - 0 0 9 connected 8192-12287\n\
                 {} host-3:7003@17003 slave,fail {} 0 0 9 disconnected\n",
                id(1),
                id(2),
                id(3),
                id(1)
            )
        );
        assert!(view(&info(), 4).info_text().contains("cluster_state:ok\r\n"));
        assert!(view(&info(), 4).info_text().contains("cluster_size:2\r\n"));
    }
}
