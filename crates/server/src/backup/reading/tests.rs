//! A small backup, whole, damaged at every bit, and cut at every byte; and the
//! bytes of it kept (rule 45).

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;

use super::{Broken, Piece, Reading};
use crate::backup::format::{self, BackupId, GroupHead, GroupSummary, Kind, MAGIC, Manifest};
use raftlet::core::{ClusterId, Generation, GroupId, Index, LogId, Term};
use raftlet::{GroupInfo, SnapshotInfo, SnapshotMeta};

const BACKUP: BackupId = BackupId(0xb0b0_0000_0000_0000_0000_0000_0000_0001);

fn head(group: u64, chunks: &[&[u8]]) -> GroupHead {
    let mut info = SnapshotInfo::default();
    for chunk in chunks {
        info.add(chunk);
    }
    let last = LogId { term: Term::new(3), index: Index::new(40 + group) };
    let meta = SnapshotMeta {
        last,
        configuration_index: Index::new(2),
        configuration: Bytes::from_static(b"members"),
        log_time_ms: 1_234,
        library: Bytes::from_static(b"window"),
    };
    let group = GroupInfo { group: GroupId::new(group), generation: Generation::new(1) };
    GroupHead { group, groups_len: 2, meta, info, taken_ms: 99 }
}

fn frames(group: u64, chunks: &[&[u8]]) -> Vec<u8> {
    let head = head(group, chunks).encode();
    let mut bytes = format::encode(BACKUP, (Kind::Group, group, 0), &head).to_vec();
    for (number, chunk) in (0..).zip(chunks) {
        bytes.extend_from_slice(&format::encode(BACKUP, (Kind::Chunk, group, number), chunk));
    }
    bytes
}

/// The last record of a keyspace of three keys.
fn end() -> Vec<u8> {
    let mut end = vec![17, 0, 0, 0, 0];
    end.extend_from_slice(&3_u64.to_le_bytes());
    end.extend_from_slice(&0xd1_u64.to_le_bytes());
    end
}

/// Two groups, the second one without any state.
fn small() -> Vec<u8> {
    let end = end();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(frames(1, &[b"first chunk", &end[..9], &end[9..]]));
    bytes.extend(frames(2, &[]));
    let mut reading = Reading::of_file();
    reading.push(&bytes);
    while reading.next().unwrap().is_some() {}
    let manifest = Manifest {
        created_ms: 77,
        cluster: ClusterId(0xc1),
        node: 1,
        groups_len: 2,
        cluster_name: "raftlet".to_owned(),
        founders: "1=h:1".to_owned(),
        program: "0.1.0".to_owned(),
        groups: reading.groups().to_vec(),
    };
    bytes.extend_from_slice(&format::encode(BACKUP, (Kind::Manifest, 0, 0), &manifest.encode()));
    bytes
}

/// Reads all, pushed in pieces of this length.
fn read(bytes: &[u8], piece: usize) -> Result<Vec<Piece>, Broken> {
    let (mut reading, mut pieces) = (Reading::of_file(), Vec::new());
    for bytes in bytes.chunks(piece) {
        reading.push(bytes);
        while let Some((piece, _)) = reading.next()? {
            pieces.push(piece);
        }
    }
    reading.finish().map(|()| pieces)
}

#[test]
fn a_backup_is_read_as_it_was_written_however_its_bytes_come() {
    let bytes = small();
    for piece in [1, 7, bytes.len()] {
        let pieces = read(&bytes, piece).unwrap();
        assert_eq!(pieces.len(), 6);
        let Some(Piece::Manifest(manifest)) = pieces.last() else {
            panic!("no manifest at its end");
        };
        let [first, second] = manifest.groups[..] else {
            panic!("not two groups");
        };
        assert_eq!((first.index, first.chunks, first.keys, first.state_digest), (41, 3, 3, 0xd1));
        assert_eq!(second, GroupSummary { offset: second.offset, ..summary_of_nothing() });
    }
}

fn summary_of_nothing() -> GroupSummary {
    let (group, generation, term, index) = (2, 1, 3, 42);
    let base = GroupSummary { group, generation, term, index, ..GroupSummary::default() };
    GroupSummary { log_time_ms: 1_234, taken_ms: 99, ..base }
}

#[test]
fn no_flipped_bit_of_a_backup_and_no_cut_passes() {
    // Rule 11
    let mut bytes = small();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert!(read(&bytes, bytes.len()).is_err(), "bit {bit} of byte {at}");
            bytes[at] ^= 1 << bit;
        }
        assert!(read(&bytes[..at], bytes.len()).is_err(), "cut at {at}");
    }
    bytes.push(0);
    assert!(read(&bytes, bytes.len()).is_err(), "a byte behind its end");
}

#[test]
fn frames_that_are_sound_and_out_of_place_are_refused() {
    let first = frames(1, &[b"a", b"b"]);
    let chunk = |number| format::encode(BACKUP, (Kind::Chunk, 1, number), b"a");
    let head = format::encode(BACKUP, (Kind::Group, 1, 0), &head(1, &[b"a", b"b"]).encode());
    let other = format::encode(BackupId(7), (Kind::Chunk, 1, 0), b"a");
    let wrong = format::encode(BACKUP, (Kind::Chunk, 1, 1), b"c");
    for (what, parts) in [
        ("a chunk of no group", vec![chunk(0)]),
        ("a chunk left out", vec![head.clone(), chunk(1)]),
        ("a chunk of another backup", vec![head.clone(), other]),
        ("another chunk than the head tells of", vec![head.clone(), chunk(0), wrong]),
        ("a group twice", vec![first.clone().into(), first.clone().into()]),
        ("groups in another order", vec![frames(2, &[]).into(), first.clone().into()]),
        ("a group in a group", vec![head, frames(2, &[]).into()]),
    ] {
        let mut bytes = MAGIC.to_vec();
        parts.iter().for_each(|part: &Bytes| bytes.extend_from_slice(part));
        let refused = read(&bytes, bytes.len()).unwrap_err();
        let is_noticed_there =
            matches!(&refused, Broken::Damaged { what, .. } if !what.contains("ends"));
        assert!(is_noticed_there, "{what}: {refused}");
    }
}

#[test]
fn a_stream_is_one_group_and_its_sender_may_say_why_it_gives_up() {
    let frames = frames(1, &[b"a", b"b"]);
    let mut reading = Reading::of_stream(BACKUP);
    reading.push(&frames);
    while reading.next().unwrap().is_some() {}
    assert!(reading.finish().is_ok());
    let mut cut = Reading::of_stream(BACKUP);
    cut.push(&frames[..frames.len() - 1]);
    while cut.next().unwrap().is_some() {}
    assert!(cut.finish().is_err());
    let mut given_up = Reading::of_stream(BACKUP);
    given_up.push(&format::encode(BACKUP, (Kind::Failure, 1, 0), b"the disk broke"));
    assert_eq!(given_up.next(), Err(Broken::GivenUp("the disk broke".to_owned())));
}

#[test]
fn another_version_is_refused_by_name() {
    // Rule 45
    let mut bytes = small();
    bytes[15] = 2;
    let Err(Broken::Foreign(text)) = read(&bytes, bytes.len()) else {
        panic!("taken for version 1");
    };
    assert!(text.contains("format 2"), "{text}");
}

/// `UPDATE=1` writes it, together with a new version of the format only.
#[test]
fn the_bytes_of_a_backup_are_those_that_were_kept() {
    // Rule 45
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/backup-1.txt");
    let mut text = "# A backup of two groups, format 1, 32 bytes a line.\n".to_owned();
    for line in small().chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}
