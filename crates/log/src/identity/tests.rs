//! Claims about identities: what is refused, what is remembered, what a crash
//! or a damaged copy leaves.

use super::{Claims, FILE_NAME, Home, IdentityError, RunRefused, cluster_id, random_incarnation};
use crate::disk::lane::block_on;
use crate::disk::memory::{Fate, MemoryDisk};
use raftlet::core::{Incarnation, NodeId, Run, Sender};

const COPY_BYTES: usize = 64 << 10;

fn claims() -> Claims {
    Claims {
        cluster_name: "raftlet".to_owned(),
        node: NodeId::new(2),
        initial_members: vec![
            (NodeId::new(2), "b:1".to_owned()),
            (NodeId::new(1), "a:1".to_owned()),
        ],
        groups: None,
    }
}

fn open_as(disk: &MemoryDisk, claims: &Claims) -> Result<Home<MemoryDisk>, IdentityError> {
    block_on(Home::open(disk.clone(), claims, || Ok(Incarnation(77))))
}

fn open(disk: &MemoryDisk) -> Home<MemoryDisk> {
    open_as(disk, &claims()).unwrap()
}

fn peer(run: u64) -> Sender {
    Sender { node: NodeId::new(1), incarnation: Incarnation(5), run: Run::new(run) }
}

/// What a crash leaves of a disk, with both copies, and with either one damaged.
fn whichever_copy_is_left(disk: &MemoryDisk) -> [MemoryDisk; 3] {
    disk.crash(|_| Fate::Lost);
    [None, Some(0), Some(COPY_BYTES)].map(|damaged| {
        let disk = disk.fork();
        if let Some(at) = damaged {
            disk.edit(FILE_NAME, |bytes| bytes[at + 100] ^= 1).unwrap();
        }
        disk
    })
}

#[test]
fn the_cluster_is_known_by_its_name_and_its_first_members_in_any_order() {
    let (a, b) = ((NodeId::new(1), "a:1".to_owned()), (NodeId::new(2), "b:1".to_owned()));
    let forth = cluster_id("x", &[a.clone(), b.clone()]);
    assert_eq!(forth, cluster_id("x", &[b.clone(), a.clone()]));
    assert_ne!(forth, cluster_id("y", &[a.clone(), b]));
    assert_ne!(forth, cluster_id("x", &[a]));
}

#[test]
fn every_start_has_a_higher_number_whatever_was_lost_in_between() {
    let disk = MemoryDisk::new();
    let mut last = open(&disk).identity().run;
    assert_eq!(last, Run::new(1));
    for _ in 0..4 {
        for halt in 1..=3 {
            disk.halt_at(halt);
            let claims = claims();
            let halted = Home::open(disk.clone(), &claims, || Ok(Incarnation(77)));
            let mut halted = std::pin::pin!(halted);
            let waker = std::task::Waker::noop();
            let polled = halted.as_mut().poll(&mut std::task::Context::from_waker(waker));
            if let std::task::Poll::Ready(Ok(home)) = &polled {
                last = last.max(home.identity().run);
            }
            let mut sector = 0u8;
            disk.crash(|_| {
                sector = sector.wrapping_add(37);
                Fate::Torn(sector)
            });
        }
        let run = open(&disk).identity().run;
        assert!(run > last, "{run} after {last}");
        last = run;
    }
}

#[test]
fn one_damaged_copy_is_replaced_by_the_other_and_both_are_refused() {
    let disk = MemoryDisk::new();
    let first = open(&disk).identity();
    for copy in [0, 1, 0] {
        disk.edit(FILE_NAME, |bytes| bytes[copy * COPY_BYTES + 100] ^= 1).unwrap();
        let home = open(&disk);
        assert_eq!(home.identity().incarnation, first.incarnation);
        assert!(home.identity().run > first.run);
    }
    open(&disk);
    assert!(open(&disk).warnings().is_empty(), "both copies are whole again");
    disk.edit(FILE_NAME, |bytes| {
        bytes[100] ^= 1;
        bytes[COPY_BYTES + 100] ^= 1;
    });
    let before = disk.bytes(FILE_NAME);
    assert!(matches!(open_as(&disk, &claims()), Err(IdentityError::Damaged { .. })));
    assert_eq!(disk.bytes(FILE_NAME), before);
}

#[test]
fn every_flipped_byte_of_a_copy_is_found() {
    let disk = MemoryDisk::new();
    let first = open(&disk);
    let incarnation = first.identity().incarnation;
    let used = [0..4096, COPY_BYTES..COPY_BYTES + 4096];
    for at in used.into_iter().flatten().step_by(7) {
        let copy = disk.fork();
        copy.edit(FILE_NAME, |bytes| bytes[at] ^= 0x10).unwrap();
        let home = open(&copy);
        assert_eq!(home.warnings().len(), 1, "byte {at}");
        assert_eq!(home.identity().incarnation, incarnation);
    }
}

#[test]
fn another_node_or_cluster_is_refused_and_other_members_are_a_warning() {
    let disk = MemoryDisk::new();
    open(&disk);
    let before = disk.bytes(FILE_NAME);
    let mut other = claims();
    other.node = NodeId::new(3);
    let error = open_as(&disk, &other).unwrap_err();
    assert!(matches!(error, IdentityError::Mismatch { field: "node id", .. }), "{error}");
    let mut other = claims();
    other.cluster_name = "else".to_owned();
    let error = open_as(&disk, &other).unwrap_err();
    assert!(matches!(error, IdentityError::Mismatch { field: "cluster", .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
    assert_eq!(disk.bytes(FILE_NAME), before, "a refusal writes nothing");

    let mut other = claims();
    let founded = open(&disk).identity().cluster;
    other.initial_members.pop();
    let home = open_as(&disk, &other).unwrap();
    assert_eq!(home.warnings().len(), 1);
    assert_eq!(home.identity().cluster, founded);
}

#[test]
fn members_that_divide_the_keyspace_otherwise_found_another_cluster() {
    let founded = |groups| {
        let claims = Claims { groups, ..claims() };
        open_as(&MemoryDisk::new(), &claims).unwrap().identity().cluster
    };
    let Claims { cluster_name, initial_members, .. } = claims();
    assert_eq!(founded(None), cluster_id(&cluster_name, &initial_members));
    assert_eq!(founded(Some(1)), founded(None));
    assert_eq!(founded(Some(3)), founded(Some(3)));
    assert_ne!(founded(Some(3)), founded(Some(4)));
    assert_ne!(founded(Some(3)), founded(Some(1)));
}

#[test]
fn another_number_of_groups_is_refused_once_one_was_said_whichever_copy_is_left() {
    let of = |groups| Claims { groups, ..claims() };
    let founded = MemoryDisk::new();
    open_as(&founded, &of(Some(3))).unwrap();
    // A directory of a release that did not say it.
    let upgraded = MemoryDisk::new();
    open(&upgraded);
    assert_eq!(open_as(&upgraded, &of(Some(8))).unwrap().groups(), None);
    let home = open(&upgraded);
    block_on(home.note_groups(3)).unwrap();
    block_on(home.note_groups(4)).unwrap();
    drop(home);
    for disk in [founded, upgraded] {
        for disk in whichever_copy_is_left(&disk) {
            let before = disk.bytes(FILE_NAME);
            for other in [2, 4] {
                let error = open_as(&disk, &of(Some(other))).unwrap_err();
                assert!(matches!(error, IdentityError::Groups { found: 3, .. }), "{error}");
                assert!(error.to_string().contains("start it with 3"), "{error}");
            }
            assert_eq!(disk.bytes(FILE_NAME), before, "a refusal writes nothing");
            assert_eq!(open_as(&disk, &of(Some(3))).unwrap().groups(), Some(3));
            assert_eq!(open(&disk).groups(), Some(3), "who says nothing learns it");
        }
    }
}

#[test]
fn a_directory_of_somebody_elses_files_is_not_taken_over() {
    let disk = MemoryDisk::new();
    disk.put("passwd", Some(vec![1]));
    let error = open_as(&disk, &claims()).unwrap_err();
    assert!(error.to_string().contains("passwd"), "{error}");
    assert_eq!(disk.names(), ["passwd"]);
    // What editors and file managers leave behind says nothing.
    let disk = MemoryDisk::new();
    disk.put(".directory", Some(vec![1]));
    assert!(open(&disk).is_new());
}

#[test]
fn a_log_without_identity_is_not_adopted() {
    let disk = MemoryDisk::new();
    disk.put("log-0000000000000001.wal", Some(vec![0; 4096]));
    let error = open_as(&disk, &claims()).unwrap_err();
    assert!(matches!(error, IdentityError::NotEmpty { .. }), "{error}");
}

#[test]
fn an_unknown_format_is_refused_by_its_number() {
    let disk = MemoryDisk::new();
    open(&disk);
    disk.edit(FILE_NAME, |bytes| {
        for copy in bytes.chunks_mut(COPY_BYTES) {
            copy[4] = 9;
            let checksum = raftlet::core::crc32c(super::file::SEED, &copy[4..4096]);
            copy[..4].copy_from_slice(&checksum.to_le_bytes());
        }
    });
    let error = open_as(&disk, &claims()).unwrap_err();
    assert!(matches!(error, IdentityError::UnknownFormat { found: 9, .. }), "{error}");
}

#[test]
fn the_highest_run_of_a_peer_is_remembered_over_restarts() {
    // Rule 4.
    let disk = MemoryDisk::new();
    let home = open(&disk);
    block_on(home.remember_run(peer(3))).unwrap();
    block_on(home.remember_run(peer(3))).unwrap();
    block_on(home.remember_run(peer(7))).unwrap();
    drop(home);
    disk.crash(|_| Fate::Lost);
    let home = open(&disk);
    assert_eq!(home.remembered_runs(), [peer(7)]);
    let refused = block_on(home.remember_run(peer(6))).unwrap_err();
    assert!(matches!(refused, RunRefused::Outdated { highest, .. } if highest == Run::new(7)));
    let other_life = Sender { incarnation: Incarnation(6), ..peer(1) };
    block_on(home.remember_run(other_life)).unwrap();
}

#[test]
fn peers_beyond_the_limit_are_refused_not_forgotten() {
    let home = open(&MemoryDisk::new());
    for node in 0..super::PEERS_MAX as u64 {
        let peer = Sender { node: NodeId::new(node + 1), ..peer(1) };
        block_on(home.remember_run(peer)).unwrap();
    }
    let one_more = Sender { node: NodeId::new(9999), ..peer(1) };
    let refused = block_on(home.remember_run(one_more));
    assert!(matches!(refused, Err(RunRefused::TooMany { .. })));
    assert_eq!(block_on(home.remember_run(peer(2))), Ok(()));
}

#[test]
fn claims_beyond_the_limits_are_refused() {
    for spoil in [
        (|claims| claims.cluster_name.clear()) as fn(&mut Claims),
        |claims| claims.cluster_name = "x".repeat(300),
        |claims| claims.node = NodeId::new(0),
        |claims| claims.initial_members[0].1 = "x".repeat(30_000),
    ] {
        let mut claims = claims();
        spoil(&mut claims);
        let refused = open_as(&MemoryDisk::new(), &claims);
        assert!(matches!(refused, Err(IdentityError::Claim { .. })));
    }
}

#[test]
fn two_incarnations_are_never_the_same() {
    assert_ne!(random_incarnation().unwrap(), random_incarnation().unwrap());
}

#[test]
fn an_old_copy_that_was_found_out_stays_out_whichever_copy_of_that_is_left() {
    let disk = MemoryDisk::new();
    block_on(open(&disk).mark_outdated()).unwrap();
    for disk in whichever_copy_is_left(&disk) {
        let before = disk.bytes(FILE_NAME);
        let error = open_as(&disk, &claims()).unwrap_err();
        assert!(matches!(error, IdentityError::Outdated { .. }), "{error}");
        assert_eq!(disk.bytes(FILE_NAME), before, "its number rose all the same");
    }
}
