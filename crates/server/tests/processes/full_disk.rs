//! Real file systems without room: writes are refused by name, all else goes
//! on, also after a restart, and it ends by itself (rule 9).
//!
//! Needs root, `mkfs.ext4` and loop devices; where they are missing the tests
//! say so and end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::client::{bulk, error_text};
use crate::cluster::{Cluster, http_get};
use crate::waiting::{Run, wait_until};
use raftlet_kv::Reply;

/// A small file system of its own.
struct SmallDisk {
    dir: TempDir,
    is_mounted: bool,
}

impl SmallDisk {
    /// # Errors
    /// What this machine does not allow.
    fn new(mib: u32) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut disk = Self { dir, is_mounted: false };
        let (image, mount) = (disk.dir.path().join("disk.img"), disk.mount());
        std::fs::create_dir_all(&mount).map_err(|error| error.to_string())?;
        run("truncate", &["-s".as_ref(), format!("{mib}M").as_ref(), &image])?;
        // Nothing kept back for root, who runs the nodes.
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), "-m".as_ref(), "0".as_ref(), &image])?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &mount])?;
        disk.is_mounted = true;
        Ok(disk)
    }

    fn mount(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn others(&self) -> PathBuf {
        self.mount().join("of-others")
    }

    /// Somebody else takes all that is free.
    fn grab(&self) {
        let mut file = File::options().create(true).append(true).open(self.others()).unwrap();
        for bytes in [1 << 20, 64 << 10, 4 << 10] {
            while file.write_all(&vec![7; bytes]).is_ok() {}
        }
        let _ = file.sync_all();
    }

    fn give_back(&self) {
        std::fs::remove_file(self.others()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = run("umount", &["-l".as_ref(), &self.mount()]);
        }
    }
}

fn run(program: &str, args: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(args).try_run();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Nodes with a small disk each; `None`, and why, where the machine allows none.
fn on_small_disks(nodes: usize, mib: u32) -> Option<(Cluster, Vec<SmallDisk>)> {
    let disks: Result<Vec<SmallDisk>, String> = (0..nodes).map(|_| SmallDisk::new(mib)).collect();
    let disks = match disks {
        Ok(disks) => disks,
        Err(why) => {
            eprintln!("not run here, no small file system can be made: {why}");
            return None;
        }
    };
    let mut cluster = Cluster::new(nodes);
    for (at, disk) in disks.iter().enumerate() {
        cluster.keep_data_in(at, disk.mount().join("data"));
    }
    Some((cluster, disks))
}

/// Why a node refuses writes.
fn shortage(cluster: &Cluster, at: usize) -> Option<String> {
    cluster.status(at)?["log"]["shortage"].as_str().map(str::to_owned)
}

/// Whether a node's disk, or the machine, stood still so long that it gave up leading
/// (rule 8), which leaves the outcome of a write open; none was refused by the log
/// after it had been taken in.
fn has_hung_with_room(cluster: &Cluster, at: usize) -> bool {
    let port = cluster.admin_address(at).rsplit_once(':').unwrap().1.parse().unwrap();
    let (_, metrics) = http_get(port, "/metrics").unwrap();
    let none_refused = metrics.lines().any(|line| line == "raftlet_log_no_space_total 0");
    none_refused && cluster.said(at).contains("a write of the log hangs")
}

/// One write at the leader; whether it was acknowledged, or else the error.
fn write(cluster: &Cluster, key: &str, value: &str) -> Result<(), String> {
    let mut client = cluster.client(cluster.leader());
    match client.try_ask(&["SET", key, value]) {
        Ok(Reply::Simple(_)) => Ok(()),
        Ok(reply) => Err(error_text(&reply)),
        Err(error) => Err(error.to_string()),
    }
}

/// Starts nodes on full disks, where little is left of what they keep, until
/// none can help itself by letting its log go.
fn exhaust(cluster: &mut Cluster, disks: &[SmallDisk]) {
    const LOOKS: u32 = 50;
    wait_until("no node has room", || {
        cluster.kill_all();
        for (at, disk) in disks.iter().enumerate() {
            let reserve = File::options().write(true).open(cluster.data_dir(at).join("RESERVE"));
            reserve.unwrap().set_len(1 << 20).unwrap();
            disk.grab();
        }
        cluster.start_all();
        cluster.wait_ready();
        let (mut looks, mut short) = (0, 0);
        wait_until("it is clear who has room", || {
            disks.iter().for_each(SmallDisk::grab);
            let all = (0..disks.len()).all(|at| shortage(cluster, at).is_some());
            looks += 1;
            short = if all { short + 1 } else { 0 };
            short == LOOKS || looks == 4 * LOOKS
        });
        short == LOOKS
    });
}

#[test]
fn nodes_whose_disks_others_have_filled_vote_read_start_and_go_on_when_there_is_room() {
    let Some((mut cluster, disks)) = on_small_disks(3, 64) else { return };
    cluster.flags(&["--log-disk-mib", "16", "--propose-timeout-ms", "2000"]);
    cluster.start_all();
    cluster.wait_ready();
    let large = "v".repeat(100_000);
    let (mut acknowledged, mut sent) = (0, 0);
    wait_until("a full disk is told", || {
        disks.iter().for_each(SmallDisk::grab);
        sent += 1;
        let written = write(&cluster, "k", &format!("{sent} {large}"));
        match &written {
            Ok(()) => acknowledged = sent,
            // The leader's own, or those of its followers, who have told it.
            Err(text) => assert!(text.starts_with("TRYAGAIN the disk"), "{text}"),
        }
        written.is_err_and(|text| text.starts_with("TRYAGAIN "))
    });
    assert!(acknowledged > 0);
    assert!((0..3).any(|at| cluster.said(at).contains("the log's disk is full")));
    // What was acknowledged, or unknown and later.
    let check = |cluster: &Cluster, at: usize| {
        let reply = cluster.client(at).ask(&["GET", "k"]);
        let Reply::Bulk(value) = &reply else { panic!("node {}: {reply:?}", at + 1) };
        let number = String::from_utf8_lossy(value).split(' ').next().unwrap().parse::<i32>();
        assert!((acknowledged..=sent).contains(&number.unwrap()), "node {}: {reply:?}", at + 1);
    };
    // Others may have taken what a node had given up to write itself down: it would
    // lag behind those that could.
    disks.iter().for_each(SmallDisk::give_back);
    cluster.wait_ready();
    (0..3).for_each(|at| check(&cluster, at));
    exhaust(&mut cluster, &disks);
    for at in 0..3 {
        check(&cluster, at);
        let refused = cluster.client(at).ask(&["SET", "k", "refused"]);
        assert!(error_text(&refused).starts_with("TRYAGAIN the disk"), "{refused:?}");
    }
    for round in 0..4 {
        let leader = cluster.leader();
        let at = if round % 2 == 0 { leader } else { (leader + 1) % 3 };
        cluster.kill(at);
        disks.iter().for_each(SmallDisk::grab);
        wait_until("another leads", || cluster.leader() != at);
        cluster.wait_ready();
        (1..3).for_each(|by| check(&cluster, (at + by) % 3));
        cluster.start(at);
        cluster.wait_ready();
        (0..3).for_each(|at| check(&cluster, at));
    }
    disks.iter().for_each(SmallDisk::give_back);
    wait_until("writes go on by themselves", || write(&cluster, "k", "after").is_ok());
    wait_until("every node has room", || (0..3).all(|at| shortage(&cluster, at).is_none()));
    for at in 0..3 {
        assert_eq!(cluster.client(at).ask(&["GET", "k"]), bulk("after"));
    }
}

/// Writes at the leader while others take all room on these disks, until it ends
/// as wanted.
fn write_until(
    cluster: &Cluster,
    disks: &[&SmallDisk],
    what: &str,
    is_wanted: impl Fn(&Result<(), String>) -> bool,
) {
    let large = "v".repeat(100_000);
    let mut sent = 0;
    wait_until(what, || {
        disks.iter().for_each(|disk| disk.grab());
        sent += 1;
        is_wanted(&write(cluster, "k", &format!("{sent} {large}")))
    });
}

#[test]
fn a_leader_on_a_full_disk_is_named_to_clients_of_other_nodes_and_replaced_when_it_dies() {
    let Some((mut cluster, disks)) = on_small_disks(3, 64) else { return };
    cluster.flags(&["--log-disk-mib", "16"]);
    cluster.start_all();
    cluster.wait_ready();
    let full = cluster.leader();
    let named = format!("TRYAGAIN the disk that holds the log of node {}, which leads,", full + 1);
    write_until(&cluster, &[&disks[full]], "the leader has no room", |written| {
        written
            .as_ref()
            .is_err_and(|text| text.starts_with("TRYAGAIN the disk that holds the log is"))
    });
    for at in [(full + 1) % 3, (full + 2) % 3] {
        let mut client = cluster.client(at);
        wait_until("another node's client is told which disk is full", || {
            disks[full].grab();
            let reply = client.ask(&["SET", "small", "1"]);
            let text = error_text(&reply);
            assert!(reply == Reply::OK || text.starts_with(&named), "{reply:?}");
            reply != Reply::OK
        });
    }
    cluster.kill(full);
    wait_until("writes go on without it", || write(&cluster, "k", "without").is_ok());
    cluster.start(full);
    disks[full].give_back();
    cluster.wait_ready();
    assert_eq!(cluster.client(full).ask(&["GET", "k"]), bulk("without"));
}

#[test]
fn a_leader_that_has_room_refuses_by_name_while_no_majority_has_and_goes_on_by_itself() {
    const FULL: &str = "TRYAGAIN the disks that hold the logs of too many nodes are full";
    let Some((mut cluster, disks)) = on_small_disks(3, 64) else { return };
    cluster.flags(&["--log-disk-mib", "16", "--propose-timeout-ms", "2000"]);
    cluster.start_all();
    cluster.wait_ready();
    let leader = cluster.leader();
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let full: Vec<&SmallDisk> = others.iter().map(|at| &disks[*at]).collect();
    write_until(&cluster, &full, "no majority has room", |written| {
        written.as_ref().is_err_and(|text| text.starts_with(FULL))
    });
    assert_eq!(cluster.leader(), leader);
    assert_eq!(shortage(&cluster, leader), None);
    let (mut done, mut refused) = (0, 0);
    let mut reader = cluster.client(leader);
    for number in 0..200 {
        full.iter().for_each(|disk| disk.grab());
        match write(&cluster, "small", &number.to_string()) {
            Ok(()) => done += 1,
            Err(text) => {
                assert!(text.starts_with(FULL), "{text}");
                refused += 1;
            }
        }
        // A full one that lags behind what the others commit would make it wait.
        let read = reader.ask(&["GET", "k"]);
        assert!(matches!(read, Reply::Bulk(_)), "{read:?}");
    }
    eprintln!("{refused} writes refused by name, {done} done, none unknown, 200 reads");
    assert!(refused > 0);
    // One that was full before the other lacks what those two committed, and has no
    // room for it: without the leader they could elect and serve no read.
    full.iter().for_each(|disk| disk.give_back());
    wait_until("nobody lags", || {
        let last = |at: usize| cluster.status(at).map(|it| it["groups"][0]["last_index"].clone());
        let leads = last(leader);
        leads.is_some() && others.iter().all(|at| last(*at) == leads)
    });
    full.iter().for_each(|disk| disk.grab());
    cluster.kill(leader);
    for at in others {
        wait_until("the full ones elect and serve reads", || {
            matches!(cluster.client(at).ask(&["GET", "k"]), Reply::Bulk(_))
        });
    }
    cluster.start(leader);
    full.iter().for_each(|disk| disk.give_back());
    wait_until("writes go on by themselves", || write(&cluster, "k", "after").is_ok());
    cluster.wait_ready();
    for at in 0..3 {
        assert_eq!(cluster.client(at).ask(&["GET", "k"]), bulk("after"));
    }
}

#[test]
fn two_members_that_were_full_one_after_the_other_serve_reads_when_the_third_is_lost() {
    let Some((mut cluster, disks)) = on_small_disks(3, 64) else { return };
    cluster.flags(&["--log-disk-mib", "16", "--propose-timeout-ms", "1000"]);
    cluster.start_all();
    cluster.wait_ready();
    let leader = cluster.leader();
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    let large = "v".repeat(100_000);
    disks[first].grab();
    wait_until("the first one is full and the others go on", || {
        write(&cluster, "k", &large).unwrap();
        shortage(&cluster, first).is_some()
    });
    for number in 0..20 {
        write(&cluster, "k", &format!("{number} {large}")).unwrap();
    }
    disks[second].grab();
    wait_until("no majority has room", || {
        // Refused when neither of the two takes it any more.
        let _ = write(&cluster, "k", &large);
        shortage(&cluster, second).is_some()
    });
    cluster.kill(leader);
    for at in [first, second] {
        wait_until("reads are served by those that are full", || {
            matches!(cluster.client(at).ask(&["GET", "k"]), Reply::Bulk(_))
        });
    }
    [first, second].iter().for_each(|at| disks[*at].give_back());
    cluster.start(leader);
    wait_until("writes go on by themselves", || write(&cluster, "k", "after").is_ok());
    cluster.wait_ready();
    for at in 0..3 {
        assert_eq!(cluster.client(at).ask(&["GET", "k"]), bulk("after"));
    }
}

#[test]
fn a_log_that_has_filled_its_disk_frees_it_by_itself() {
    let Some((mut cluster, _disks)) = on_small_disks(1, 64) else { return };
    // Aimed at is more than there is, and snapshots come by no limit of theirs.
    cluster.flags(&["--log-disk-mib", "512", "--snapshot-log-bytes", "1073741824"]);
    cluster.start(0);
    cluster.wait_ready();
    let large = "v".repeat(50_000);
    let mut client = cluster.client(0);
    let (mut refusals, mut last) = (0, [0; 20]);
    for number in 0..2_500_usize {
        let at = number % last.len();
        let (key, value) = (at.to_string(), format!("{number} {large}"));
        wait_until("a write is acknowledged", || {
            let reply = client.ask(&["SET", &key, &value]);
            let text = error_text(&reply);
            let is_told = reply == Reply::OK || text.starts_with("TRYAGAIN the disk");
            let is_hung = || text.starts_with("UNKNOWN") && has_hung_with_room(&cluster, 0);
            assert!(is_told || is_hung(), "{reply:?}: {}", cluster.said(0));
            refusals += usize::from(reply != Reply::OK);
            reply == Reply::OK
        });
        last[at] = number;
    }
    eprintln!("{refusals} refusals among 2500 writes of 50 kB on a disk of 64 MiB");
    cluster.kill(0);
    cluster.start(0);
    cluster.wait_ready();
    let mut client = cluster.client(0);
    for (at, number) in last.into_iter().enumerate() {
        let value = bulk(&format!("{number} {large}"));
        assert_eq!(client.ask(&["GET", &at.to_string()]), value);
    }
}
