//! A cluster's data, out of it and into another one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::client::{Client, bulk};
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Ends, Guarded, Run, kill, wait_until};
use raftlet_kv::Reply;

const GROUPS: [&str; 2] = ["--groups", "3"];
const DATA: Option<i32> = Some(4);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn backup(args: &[&str]) -> Output {
    raftlet().arg("backup").args(args).run()
}

/// What a command printed as JSON, which must have ended well.
fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{}{}", text(&output.stderr), text(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn try_create(cluster: &Cluster, at: usize, out: &Path) -> Output {
    let admin = cluster.admin_address(at);
    backup(&["create", "--admin", &admin, "--json", "--out", out.to_str().unwrap()])
}

fn create(cluster: &Cluster, at: usize, out: &Path) -> Value {
    told(&try_create(cluster, at, out))
}

/// Makes the data directory of a node of a cluster that was never started.
fn restore(cluster: &Cluster, at: usize, from: &Path) -> Output {
    let mut command = raftlet();
    command.args(["backup", "restore", "--json", "--from"]).arg(from);
    command.arg("--dir").arg(cluster.data_dir(at)).args(["--id", &(at + 1).to_string()]);
    command.args(["--initial-members", &cluster.initial_members()]).run()
}

/// A cluster of so many members that begins with a backup.
fn restored(members: usize, from: &Path) -> Cluster {
    let mut cluster = Cluster::new(members);
    cluster.flags(&GROUPS);
    for at in 0..members {
        told(&restore(&cluster, at, from));
    }
    cluster.start_all();
    cluster.wait_ready();
    cluster
}

/// Of each group its digest, and at which index.
fn digests(status: &Value, digest: &str, index: &str) -> Vec<(String, u64)> {
    let groups = status["groups"].as_array().unwrap().iter();
    let digest = |group: &Value| group[digest].as_str().unwrap().to_owned();
    groups.map(|group| (digest(group), group[index].as_u64().unwrap())).collect()
}

fn states(digests: &[(String, u64)]) -> Vec<String> {
    digests.iter().map(|(digest, _)| digest.clone()).collect()
}

/// Something of every type, some of it with a deadline far away.
fn write_all_types(clients: &mut [Client]) {
    for round in 0..60 {
        let client = &mut clients[round % 3];
        let part = format!("{round}");
        for (write, reply) in [
            (["SET", &format!("string-{part}"), &part].as_slice(), Reply::OK),
            (&["SET", &format!("lapses-{part}"), &part, "EX", "36000"], Reply::OK),
            (&["HSET", &format!("hash-{}", round % 7), &part, "v"], Reply::Integer(1)),
            (&["SADD", &format!("set-{}", round % 7), &part], Reply::Integer(1)),
            (&["ZADD", &format!("sorted-{}", round % 7), &part, &part], Reply::Integer(1)),
        ] {
            assert_eq!(client.ask(write), reply, "{write:?}");
        }
        let pushed = client.ask(&["RPUSH", &format!("list-{}", round % 7), &part]);
        assert_eq!(pushed, Reply::Integer(i64::try_from(round / 7 + 1).unwrap()));
    }
}

fn check_all_types(client: &mut Client) {
    assert_eq!(client.ask(&["GET", "string-59"]), bulk("59"));
    assert_eq!(client.ask(&["HLEN", "hash-3"]), Reply::Integer(9));
    assert_eq!(client.ask(&["SCARD", "set-0"]), Reply::Integer(9));
    assert_eq!(client.ask(&["ZSCORE", "sorted-2", "58"]), bulk("58"));
    assert_eq!(client.ask(&["LINDEX", "list-1", "-1"]), bulk("57"));
    match client.ask(&["TTL", "lapses-7"]) {
        Reply::Integer(left) => assert!((35_000..=36_000).contains(&left), "{left}"),
        other => panic!("no deadline: {other:?}"),
    }
}

fn number(reply: &Reply) -> u64 {
    match reply {
        Reply::Bulk(bytes) => text(bytes).parse().unwrap(),
        other => panic!("no number: {other:?}"),
    }
}

/// Takes a backup while a client counts; gives the report, and how far the
/// count was acknowledged before.
fn create_under_load(cluster: &Cluster, out: &Path) -> (Value, u64) {
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _ends = Ends(&is_over);
        let (over, acknowledged) = (&is_over, &acknowledged);
        let mut counting = cluster.client(cluster.leader());
        scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                match counting.ask(&["INCR", "count"]) {
                    Reply::Integer(count) => {
                        acknowledged.store(u64::try_from(count).unwrap(), Ordering::SeqCst);
                    }
                    other => panic!("not counted: {other:?}"),
                }
            }
        });
        wait_until("the client counts", || acknowledged.load(Ordering::SeqCst) > 20);
        let before = acknowledged.load(Ordering::SeqCst);
        let created = try_create(cluster, cluster.follower(), out);
        (told(&created), before)
    })
}

#[test]
fn what_is_restored_into_three_one_and_five_members_is_what_was_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::new(3);
    cluster.flags(&GROUPS);
    cluster.start_all();
    cluster.wait_ready();
    let mut clients: Vec<_> = (0..3).map(|at| cluster.client(at)).collect();
    write_all_types(&mut clients);
    let loaded = dir.path().join("loaded.backup");
    let (under_load, counted) = create_under_load(&cluster, &loaded);
    // What stands still can be compared with what the nodes show.
    let quiet = create(&cluster, 0, dir.path());
    let status = cluster.status(0).unwrap();
    let shown = digests(&status, "state_digest", "digest_index");
    assert_eq!(digests(&quiet, "state_digest", "index"), shown);
    assert_eq!(quiet["cluster_id"], status["cluster_id"]);
    assert!(quiet["groups"][0]["members"].as_array().unwrap().len() == 3, "{quiet}");
    let quiet_file = PathBuf::from(quiet["file"].as_str().unwrap());
    assert!(quiet_file.extension().is_some_and(|it| it == "backup"), "{}", quiet_file.display());
    assert_eq!(told(&backup(&["verify", "--json", quiet_file.to_str().unwrap()])), quiet);
    let both = backup(&["verify", dir.path().to_str().unwrap()]);
    assert!(both.status.success() && text(&both.stdout).matches("sound").count() == 2, "{both:?}");
    drop(cluster);
    for (members, from, report) in
        [(3, &quiet_file, &quiet), (1, &quiet_file, &quiet), (5, &loaded, &under_load)]
    {
        let cluster = restored(members, from);
        let wanted = states(&digests(report, "state_digest", "index"));
        for at in 0..members {
            wait_until("a node shows what was backed up", || {
                let status = cluster.status(at).unwrap();
                states(&digests(&status, "state_digest", "digest_index")) == wanted
            });
            let mut client = cluster.client(at);
            check_all_types(&mut client);
            let count = number(&client.ask(&["GET", "count"]));
            assert!(count >= counted, "{count} of {counted} acknowledged ones");
        }
        assert_ne!(cluster.status(0).unwrap()["cluster_id"], report["cluster_id"]);
        assert_eq!(cluster.client(0).ask(&["SET", "goes", "on"]), Reply::OK);
    }
}

/// A backup of one key in a cluster of one node, which is gone.
fn small_backup(dir: &Path) -> PathBuf {
    let file = dir.join("small.backup");
    let mut cluster = Cluster::new(1);
    cluster.flags(&GROUPS);
    cluster.start_all();
    cluster.wait_ready();
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
    create(&cluster, 0, &file);
    file
}

#[test]
fn a_flipped_bit_in_a_backup_is_found_and_not_restored() {
    // Rule 11
    let dir = tempfile::tempdir().unwrap();
    let file = small_backup(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let cluster = Cluster::new(1);
    for part in 0..8 {
        let at = bytes.len() * part / 8 + 3;
        bytes[at] ^= 1 << part;
        fs::write(&file, &bytes).unwrap();
        let found = backup(&["verify", file.to_str().unwrap()]);
        assert_eq!(found.status.code(), DATA, "byte {at}: {found:?}");
        assert!(text(&found.stdout).contains("damaged"), "{found:?}");
        let refused = restore(&cluster, 0, &file);
        assert_eq!(refused.status.code(), DATA, "byte {at}: {refused:?}");
        assert!(!cluster.data_dir(0).exists(), "something was made of it");
        bytes[at] ^= 1 << part;
    }
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(backup(&["verify", file.to_str().unwrap()]).status.code(), DATA);
    fs::write(&file, &bytes).unwrap();
    told(&restore(&cluster, 0, &file));
}

#[test]
fn a_restore_takes_no_directory_in_use_and_a_backup_no_name_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let file = small_backup(dir.path());
    let cluster = Cluster::new(1);
    let data = cluster.data_dir(0);
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("notes.txt"), b"mine").unwrap();
    let refused = restore(&cluster, 0, &file);
    let said = text(&refused.stderr);
    assert!(refused.status.code() == DATA && said.contains("notes.txt"), "{said}");
    fs::remove_file(data.join("notes.txt")).unwrap();
    told(&restore(&cluster, 0, &file));
    assert_eq!(restore(&cluster, 0, &file).status.code(), DATA, "twice");
    let members = ["--node-id", "2", "--initial-members", "1=h:1"];
    let mut foreign = raftlet();
    foreign.args(["backup", "restore", "--data-dir", "x", "--from"]).arg(&file).args(members);
    assert_eq!(foreign.run().status.code(), Some(3), "of a member that is not listed");
    let mut cluster = Cluster::started(1);
    let admin = cluster.admin_address(0);
    let out = file.to_str().unwrap();
    let taken = backup(&["create", "--admin", &admin, "--out", out]);
    assert!(text(&taken.stderr).contains("there already"), "{taken:?}");
    assert_eq!(taken.status.code(), Some(3));
    let missing = backup(&["create", "--admin", &admin, "--group", "9", "--out", "x"]);
    assert!(text(&missing.stderr).contains("no group 9"), "{missing:?}");
    cluster.kill(0);
    let nobody = backup(&["create", "--admin", &admin, "--out", "x"]);
    assert_eq!(nobody.status.code(), Some(6), "{nobody:?}");
}

#[test]
fn a_backup_of_some_groups_is_no_beginning_and_one_without_a_majority_must_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::new(3);
    cluster.flags(&["--groups", "2", "--propose-timeout-ms", "500"]);
    cluster.start_all();
    cluster.wait_ready();
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
    let admin = cluster.admin_address(0);
    let out = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let some = out("some");
    let made = backup(&["create", "--admin", &admin, "--group", "2", "--out", &some]);
    assert!(made.status.success() && text(&made.stdout).contains("1 of the cluster's 2 groups"));
    let refused = restore(&Cluster::new(1), 0, Path::new(&some));
    assert!(text(&refused.stderr).contains("--group"), "{refused:?}");
    assert_eq!(refused.status.code(), DATA);
    cluster.kill(1);
    cluster.kill(2);
    let (alone, stale) = (out("alone"), out("stale"));
    let refused = backup(&["create", "--admin", &admin, "--out", &alone]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    assert!(text(&refused.stderr).contains("--stale"), "{refused:?}");
    assert!(!Path::new(&alone).exists() && fs::read_dir(dir.path()).unwrap().count() == 1);
    let made = backup(&["create", "--admin", &admin, "--stale", "--out", &stale]);
    assert!(made.status.success(), "{made:?}");
    let mut survivor = Cluster::new(1);
    survivor.flags(&["--groups", "2"]);
    told(&restore(&survivor, 0, Path::new(&stale)));
    survivor.start_all();
    survivor.wait_ready();
    assert_eq!(survivor.client(0).ask(&["GET", "k"]), bulk("v"));
}

#[test]
fn members_of_the_old_cluster_and_of_another_restore_are_refused() {
    // Rules 2, 4
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("1"), dir.path().join("2"));
    let mut cluster = Cluster::growing(3, 4);
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
    create(&cluster, 0, &first);
    create(&cluster, 0, &second);
    cluster.kill_all();
    // An old member, and one of another backup, where a new one is expected.
    let old = dir.path().join("old");
    fs::rename(cluster.data_dir(2), &old).unwrap();
    for at in 0..2 {
        fs::remove_dir_all(cluster.data_dir(at)).unwrap();
        told(&restore(&cluster, at, &first));
        cluster.start(at);
    }
    let mut refusals = 0;
    for other in [true, false] {
        if other {
            fs::rename(&old, cluster.data_dir(2)).unwrap();
        } else {
            told(&restore(&cluster, 2, &second));
        }
        cluster.start(2);
        wait_until("the stranger is refused", || {
            let count = |at| cluster.said(at).matches("belong to cluster").count();
            count(0) + count(1) + count(2) > refusals
        });
        cluster.kill(2);
        refusals = (0..3).map(|at| cluster.said(at).matches("belong to cluster").count()).sum();
        fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    }
    let waiting = cluster.status(0).unwrap()["waiting"].to_string();
    assert!(waiting.contains("node 3"), "{waiting}");
    // The right one; restored anew after it was lost, it is one that has not met.
    told(&restore(&cluster, 2, &first));
    cluster.start(2);
    cluster.wait_ready();
    for at in 0..3 {
        assert_eq!(cluster.client(at).ask(&["GET", "k"]), bulk("v"));
    }
    // Once begun, a member that is restored again has lost what it promised.
    cluster.kill(2);
    fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    told(&restore(&cluster, 2, &first));
    cluster.start(2);
    assert_eq!(cluster.ended(2).code(), DATA, "{}", cluster.said(2));
    assert!(cluster.said(2).contains("new id"), "{}", cluster.said(2));
    // The restored cluster takes members in as any other.
    cluster.join(3, 0);
    wait_until("the joiner has it", || {
        let asked = Client::connect(cluster.client_address(3));
        asked.is_ok_and(|mut client| client.try_ask(&["GET", "k"]).is_ok_and(|it| it == bulk("v")))
    });
}

#[test]
fn killed_at_any_moment_a_restore_and_the_first_start_after_it_go_on_or_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large.backup");
    let mut cluster = Cluster::started(1);
    let value = "x".repeat(60_000);
    let mut client = cluster.client(0);
    for key in 0..200 {
        assert_eq!(client.ask(&["SET", &format!("key-{key}"), &value]), Reply::OK);
    }
    let report = create(&cluster, 0, &file);
    cluster.kill(0);
    fs::remove_dir_all(cluster.data_dir(0)).unwrap();
    let data = cluster.data_dir(0);
    let (mut unfinished, mut kills) = (0, 0);
    // Killed after the file that shows how far it is has grown so far.
    for bytes in (0..).step_by(2 << 20) {
        let mut command = raftlet();
        command.args(["backup", "restore", "--node-id", "1", "--from"]).arg(&file);
        command.args(["--initial-members", &cluster.initial_members(), "--data-dir"]).arg(&data);
        let child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut child = Guarded(child);
        let grown = || data.join("RESTORE.part").metadata().map_or(0, |about| about.len());
        let mut ended = None;
        wait_until("the restore has come so far", || {
            ended = child.0.try_wait().unwrap();
            ended.is_some() || (grown() >= bytes && data.join("RESTORE.part").exists())
        });
        if let Some(ended) = ended {
            assert!(ended.success());
            break;
        }
        kill(&mut child.0);
        kills += 1;
        if data.join("IDENTITY").exists() {
            break;
        }
        cluster.start(0);
        assert_eq!(cluster.ended(0).code(), DATA, "{}", cluster.said(0));
        unfinished = cluster.said(0).matches("a restore that did not finish").count();
        assert_eq!(unfinished, kills, "{}", cluster.said(0));
        fs::remove_dir_all(&data).unwrap();
    }
    assert!(unfinished > 0);
    // The first start, killed again and again at a later sign of how far it is.
    let has = |name: &str| data.join(name).exists();
    let has_part = || {
        let files = fs::read_dir(&data).unwrap().flatten();
        files.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("snap-"))
    };
    for sign in 0..3 {
        cluster.start(0);
        wait_until("the start has come so far", || match sign {
            0 => has("FOUNDING"),
            1 => has_part(),
            _ => !has("RESTORE"),
        });
        cluster.kill(0);
    }
    cluster.start(0);
    cluster.wait_ready();
    wait_until("the node shows what was backed up", || {
        let status = cluster.status(0).unwrap();
        status["groups"][0]["state_digest"] == report["groups"][0]["state_digest"]
    });
    assert!(!has("RESTORE"));
}
