//! Holds the wire format to `tests/golden/wire-1.txt` (rule 45).
//!
//! One line a frame: its name and its bytes in hexadecimal. A change of the file
//! is a change of the format: raise the version, keep the old file.
//! `UPDATE=1` writes it.

use std::fmt::Write as _;
use std::{env, fs};

use bytes::BytesMut;

use crate::codec::{append_to_batch, encoded_bytes};
use crate::control::{Heartbeat, HeartbeatReply};
use crate::disowned::Disowned;
use crate::frame::{self, FrameKind, FrameSeal};
use crate::handshake::{Hello, Refusal, Welcome, dialler_seal};
use crate::introduction::NodeAddresses;
use crate::rollcall::{Showing, Shown};
use raftlet::Incoming;
use raftlet::core::{
    Ack, AckOutcome, Append, Arena, Body, Checkpoint, Chunk, ClusterId, Configuration, EntryKind,
    Forward, ForwardOutcome, ForwardReply, Generation, GroupId, Incarnation, Index, LogId, Member,
    MemberRole, Membership, Message, NewEntry, NodeId, Origin, PRIORITY_DEFAULT, ReadId, Round,
    Run, Seal, Sender, Shortage, SnapshotAck, SnapshotOutcome, SnapshotPart, Term, Time, VoteKind,
    VoteReply, VoteRequest, WallMs,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/wire-1.txt");

#[test]
fn every_frame_has_the_bytes_of_the_golden_file() {
    let mut found = String::new();
    for (name, bytes) in control_frames().into_iter().chain(message_frames()) {
        write!(found, "{name} ").unwrap();
        for byte in bytes {
            write!(found, "{byte:02x}").unwrap();
        }
        found.push('\n');
    }
    if env::var_os("UPDATE").is_some() {
        fs::write(PATH, &found).unwrap();
    }
    let golden = fs::read_to_string(PATH).unwrap();
    for (found, golden) in found.lines().zip(golden.lines()) {
        assert_eq!(found, golden);
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}

fn framed(kind: FrameKind, seal: FrameSeal, write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut bytes = BytesMut::new();
    frame::put(kind, seal, &mut bytes, write);
    bytes
}

fn sender(node: u64) -> Sender {
    Sender {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node) << 100 | 5),
        run: Run::new(node + 40),
    }
}

fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        cluster: ClusterId(0xc1 << 120 | 1),
        sender: sender(2),
        to: NodeId::new(1),
        nonce: 0x1122_3344,
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        cluster: ClusterId(0xc1 << 120 | 1),
        sender: sender(1),
        nonce: 0x5566_7788,
    }
}

fn control_frames() -> Vec<(&'static str, BytesMut)> {
    let seal = dialler_seal(&hello(), &welcome());
    let disowned =
        Disowned { group: GroupId::new(3), generation: Generation::new(4), term: Term::new(5) };
    let (stamp, turns) = (Time::from_ms(1500), vec![9, 0]);
    let heartbeat = Heartbeat { stamp, received: 77, turns, disowned: vec![disowned] };
    let reply = HeartbeatReply { run: Run::new(41), stamp: Time::from_ms(1500) };
    let shown = |node: u64, incarnation| Shown {
        node: NodeId::new(node),
        incarnation,
        address: format!("host-{node}:70"),
    };
    let showing =
        Showing { is_written: true, members: vec![shown(1, Some(Incarnation(6))), shown(2, None)] };
    let introduction =
        NodeAddresses { client: "host-2:7379".to_owned(), admin: "host-2:7381".to_owned() };
    let refusal = Refusal::malformed();
    let first = FrameSeal::HANDSHAKE;
    vec![
        ("hello", framed(FrameKind::Hello, first, |into| hello().encode(into))),
        ("welcome", framed(FrameKind::Welcome, first, |into| welcome().encode(into))),
        ("refusal", framed(FrameKind::Refusal, first, |into| refusal.encode(into))),
        ("heartbeat", framed(FrameKind::Heartbeat, seal, |into| heartbeat.encode(into))),
        ("heartbeat-reply", framed(FrameKind::HeartbeatReply, seal, |into| reply.encode(into))),
        ("roll-call", framed(FrameKind::RollCall, seal, |into| showing.encode(into))),
        ("introduction", framed(FrameKind::Introduction, seal, |into| introduction.encode(into))),
    ]
}

fn message_frames() -> Vec<(&'static str, BytesMut)> {
    let seal = dialler_seal(&hello(), &welcome());
    let framed = |(name, body)| {
        let incoming = Incoming {
            group: GroupId::new(3),
            message: Message { generation: Generation::new(4), term: Term::new(5), body },
        };
        let bytes = encoded_bytes(&incoming.message).unwrap();
        let frame = framed(FrameKind::Messages, seal, |into| {
            append_to_batch(incoming.group, &incoming.message, bytes, into);
        });
        (name, frame)
    };
    let rare = rare_bodies().into_iter();
    replication_bodies().into_iter().chain(rare).map(framed).collect()
}

fn log_id(index: u64, term: u64) -> LogId {
    LogId { term: Term::new(term), index: Index::new(index) }
}

fn replication_bodies() -> Vec<(&'static str, Body)> {
    let entries =
        [(None, b"SET a 1"), (Some(()), b"SET b 2")].map(|(is_forwarded, payload)| NewEntry {
            kind: EntryKind::Command,
            log_time_ms: 1_700_000_000_000,
            origin: is_forwarded.map(|()| Origin {
                node: NodeId::new(2),
                incarnation: Incarnation(8),
                run: Run::new(9),
                sequence: 10,
            }),
            payload,
        });
    let group = Seal::new(GroupId::new(3), Generation::new(4));
    let entries = entries.into_iter();
    let chunk = Chunk::encode(&mut Arena::default(), group, log_id(12, 5), entries);
    let append = Append {
        previous: log_id(11, 4),
        commit: Index::new(10),
        round: Round::new(6),
        configuration: Index::new(1),
        position: 4096,
        entries: chunk.into(),
    };
    let ack = |outcome| Ack {
        round: Round::new(6),
        configuration: Index::new(1),
        position: 4096,
        commit: Index::new(10),
        wall: WallMs(1_700_000_000_001),
        outcome,
    };
    let (verified, durable) = (Index::new(13), Index::new(12));
    let matches = |is_short| AckOutcome::Matches { verified, durable, is_short };
    let held = Index::new(15);
    let rejects = AckOutcome::Rejects { previous: Index::new(11), hint: log_id(7, 3), held };
    vec![
        ("append", Body::Append(append)),
        ("ack-matches", Body::Ack(ack(matches(false)))),
        ("ack-matches-short", Body::Ack(ack(matches(true)))),
        ("ack-rejects", Body::Ack(ack(rejects))),
    ]
}

fn membership() -> Membership {
    let member = |node, role| Member {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node) << 100 | 5),
        role,
        priority: PRIORITY_DEFAULT,
        address: format!("host-{node}:70"),
    };
    let members = vec![member(1, MemberRole::Voter), member(2, MemberRole::Learner)];
    let target = Configuration::new(members).unwrap();
    Membership::Ask { run: Run::new(9), ask: 15, expected: Index::new(12), target }
}

fn rare_bodies() -> Vec<(&'static str, Body)> {
    let request = VoteRequest {
        kind: VoteKind::Pre,
        campaign: 21,
        last: log_id(13, 5),
        address: "host-2:70".to_owned(),
    };
    let reply = VoteReply { kind: VoteKind::Transfer, campaign: 21, granted: true };
    let forward = Forward {
        first_sequence: 31,
        commands: vec![b"INCR a".to_vec().into(), b"".to_vec().into()],
    };
    let forwarded = |outcome| {
        Body::ForwardReply(ForwardReply { run: Run::new(9), first_sequence: 31, len: 2, outcome })
    };
    let (run, read) = (Run::new(9), ReadId::new(14));
    let index = Some(Index::new(13));
    let leader = Some(NodeId::new(1));
    vec![
        ("vote-request", Body::VoteRequest(request)),
        ("vote-reply", Body::VoteReply(reply)),
        ("probe", Body::Probe),
        ("not-leader", Body::NotLeader { leader }),
        ("read", Body::Read { run, read }),
        ("read-reply", Body::ReadReply { run, read, index }),
        ("membership", Body::Membership(Box::new(membership()))),
        ("forward", Body::Forward(forward)),
        ("forward-appended", forwarded(ForwardOutcome::Appended { first: Index::new(12) })),
        ("forward-refused", forwarded(ForwardOutcome::Refused { leader: None })),
        ("forward-no-room", forwarded(ForwardOutcome::NoRoom(Shortage::Device))),
        (
            "checkpoint",
            Body::Checkpoint(Checkpoint { index: Index::new(4096), log: 0xc4a1, state: 0x57a7e }),
        ),
        ("take-over", Body::TakeOver { last: log_id(13, 5) }),
    ]
    .into_iter()
    .chain(snapshot_bodies())
    .collect()
}

fn snapshot_bodies() -> Vec<(&'static str, Body)> {
    let part = SnapshotPart {
        last: log_id(40, 5),
        number: 2,
        checksum: 0x0102_0304,
        bytes: b"state".to_vec().into(),
    };
    let ack = |outcome| Body::SnapshotAck(SnapshotAck { last: log_id(40, 5), outcome });
    vec![
        ("snapshot", Body::Snapshot(part)),
        ("snapshot-wants", ack(SnapshotOutcome::Wants { number: 3 })),
        ("snapshot-installed", ack(SnapshotOutcome::Installed)),
        ("snapshot-refused", ack(SnapshotOutcome::Refused)),
    ]
}
