//! Any node serves any command, in order, and never hangs (D8, rules 32-34).

use crate::client::{bulk, error_text};
use crate::cluster::{Cluster, http_get, in_shell, undisturbed};
use crate::waiting::{Run, connect};
use raftlet_kv::Reply;

#[test]
fn what_one_node_acknowledged_every_node_reads() {
    let cluster = Cluster::started(3);
    undisturbed(&cluster, || {
        (0..30)
            .all(|number| {
                let (writer, reader) = (number % 3, (number + 1) % 3);
                let value = number.to_string();
                cluster.client(writer).ask(&["SET", "k", &value]) == Reply::OK
                    && cluster.client(reader).ask(&["GET", "k"]) == bulk(&value)
            })
            .then_some(())
    });
}

#[test]
fn commands_of_several_keys_work_at_a_follower() {
    let cluster = Cluster::started(3);
    let answers = undisturbed(&cluster, || {
        let mut client = cluster.client(cluster.follower());
        let requests: [&[&str]; 6] = [
            &["DEL", "a", "b"],
            &["MSET", "a", "1", "b", "2"],
            &["MGET", "a", "none", "b"],
            &["DEL", "a", "none"],
            &["EXISTS", "a", "b"],
            &["DBSIZE"],
        ];
        let answers = requests.map(|request| client.ask(request));
        answers.iter().all(|answer| !answer.is_error()).then_some(answers)
    });
    let [_, answers @ ..] = answers;
    let expected = [
        Reply::OK,
        Reply::Array(vec![bulk("1"), Reply::Null, bulk("2")]),
        Reply::Integer(1),
        Reply::Integer(1),
        Reply::Integer(1),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn a_pipeline_is_answered_in_order_at_leader_and_follower() {
    let cluster = Cluster::started(3);
    for at in [cluster.leader(), cluster.follower()] {
        let mut attempt = 0;
        undisturbed(&cluster, || {
            attempt += 1;
            let key = format!("count-{at}-{attempt}");
            let requests = [["INCR", &key], ["GET", &key], ["ECHO", "between"]];
            let requests: Vec<&[&str]> =
                requests.iter().cycle().take(300).map(|request| &request[..]).collect();
            let mut client = cluster.client(at);
            client.send(&requests).unwrap();
            let in_order = (1..=100).all(|number: i64| {
                [Reply::Integer(number), bulk(&number.to_string()), bulk("between")]
                    .iter()
                    .all(|expected| client.receive().unwrap() == *expected)
            });
            in_order.then_some(())
        });
    }
}

#[test]
fn a_client_that_does_not_read_disturbs_nobody() {
    const REQUESTS: usize = 200;
    let cluster = Cluster::started(1);
    let mut silent = cluster.client(0);
    let large = "x".repeat(1 << 20);
    assert_eq!(silent.ask(&["SET", "large", &large]), Reply::OK);
    // 200 MiB of replies fit neither socket nor session: both ends stop.
    let get: &[&str] = &["GET", "large"];
    silent.send(&vec![get; REQUESTS]).unwrap();
    for number in 1..=50 {
        assert_eq!(cluster.client(0).ask(&["INCR", "n"]), Reply::Integer(number));
    }
    for _ in 0..REQUESTS {
        assert_eq!(silent.receive().unwrap(), bulk(&large));
    }
}

#[test]
fn one_client_too_many_is_told_so() {
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--clients-max", "2"]);
    cluster.start_all();
    cluster.wait_ready();
    let mut clients = [cluster.client(0), cluster.client(0)];
    for client in &mut clients {
        assert_eq!(client.ask(&["PING"]), Reply::simple_static("PONG"));
    }
    assert_eq!(cluster.status(0).unwrap()["clients"]["connected"], 2);
    let refusal = cluster.client(0).receive().unwrap();
    assert_eq!(error_text(&refusal), "ERR max number of clients reached");
    assert_eq!(cluster.status(0).unwrap()["clients"]["refused"], 1);
    drop(clients);
    crate::waiting::wait_until("there is room again", || {
        cluster.client(0).try_ask(&["PING"]).is_ok_and(|reply| !reply.is_error())
    });
}

#[test]
fn clients_that_only_connect_leave_a_node_the_files_it_needs() {
    let mut cluster = Cluster::new(1);
    let command = in_shell("ulimit -n 128", &cluster.command(0));
    cluster.start_as(0, command);
    cluster.wait_ready();
    let mut client = cluster.client(0);
    assert_eq!(client.ask(&["PING"]), Reply::simple_static("PONG"));
    let idle: Vec<_> = (0..200).map(|_| cluster.client(0)).collect();
    let large = "x".repeat(1 << 20);
    // Several segments of the log, each a file of its own.
    for number in 0..20 {
        assert_eq!(client.ask(&["SET", "large", &large]), Reply::OK, "write {number}");
    }
    assert!(cluster.status(0).is_some(), "operators are shut out");
    drop(idle);
}

#[test]
fn without_a_quorum_commands_end_within_the_bound_and_by_their_prefix() {
    let mut cluster = Cluster::new(3);
    cluster.flags(&["--propose-timeout-ms", "500"]);
    cluster.start_all();
    cluster.wait_ready();
    let survivor = cluster.follower();
    for at in (0..3).filter(|at| *at != survivor) {
        cluster.kill(at);
    }
    let mut client = cluster.client(survivor);
    for request in [&["SET", "k", "v"][..], &["GET", "k"], &["INCR", "n"]] {
        let text = error_text(&client.ask(request));
        let allowed = ["CLUSTERDOWN ", "UNKNOWN "];
        assert!(
            allowed.iter().any(|prefix| text.starts_with(prefix)),
            "{request:?} was answered '{text}'"
        );
    }
    assert_eq!(client.ask(&["PING"]), Reply::simple_static("PONG"));
    let status = cluster.status(survivor).unwrap();
    assert_eq!(status["node_id"], survivor as u64 + 1);
}

#[test]
fn a_silent_client_is_closed_after_its_time() {
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--client-idle-ms", "50"]);
    cluster.start_all();
    cluster.wait_ready();
    let mut client = cluster.client(0);
    assert_eq!(client.ask(&["PING"]), Reply::simple_static("PONG"));
    assert!(client.receive().is_err(), "the silent client was answered");
    assert_eq!(cluster.status(0).unwrap()["clients"]["idle_closed"], 1);
}

#[test]
fn a_client_that_makes_no_sense_is_told_so_and_disturbs_nobody() {
    let cluster = Cluster::started(1);
    let mut broken = cluster.client(0);
    broken.send(&[&["PING"]]).unwrap();
    assert_eq!(broken.receive().unwrap(), Reply::simple_static("PONG"));
    let mut raw = connect(cluster.client_address(0)).unwrap();
    std::io::Write::write_all(&mut raw, b"*1\r\n!3\r\nfoo\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut raw, &mut text).unwrap();
    assert!(text.starts_with("-ERR Protocol error"), "{text}");
    assert_eq!(cluster.client(0).ask(&["SET", "k", "v"]), Reply::OK);
}

#[test]
fn a_client_that_sends_too_much_is_told_so_and_not_cut_off() {
    let cluster = Cluster::started(1);
    let mut raw = connect(cluster.client_address(0)).unwrap();
    let bytes = 16 << 20;
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${bytes}\r\n");
    std::io::Write::write_all(&mut raw, head.as_bytes()).unwrap();
    std::io::Write::write_all(&mut raw, &vec![0; bytes]).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut raw, &mut text).unwrap();
    assert!(text.contains("bigger than this node's limit"), "{text}");
}

#[test]
fn the_admin_port_tells_status_and_health() {
    let cluster = Cluster::started(1);
    let address = cluster.admin_address(0);
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(http_get(port, "/livez").unwrap().0, 200);
    assert_eq!(http_get(port, "/readyz").unwrap().0, 200);
    assert_eq!(http_get(port, "/nothing").unwrap().0, 404);
    let (_, checks) = http_get(port, "/readyz?verbose").unwrap();
    assert!(checks.contains("[+]leader ok") && checks.ends_with("\nready\n"), "{checks}");
    let output =
        crate::cluster::raftlet().args(["status", "--json", "--check", "--admin", &address]).run();
    assert_eq!(output.status.code(), Some(0));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in ["node_id", "cluster_id", "uptime_ms", "disk_mode", "huge_pages", "log", "groups"]
    {
        assert!(!status[field].is_null(), "no {field} in {status}");
    }
    for field in [
        "group",
        "role",
        "term",
        "leader",
        "commit_index",
        "applied_index",
        "state_digest",
        "digest_index",
        "members",
    ] {
        assert!(!status["groups"][0][field].is_null(), "no {field} in {status}");
    }
    let table = crate::cluster::raftlet().args(["status", "--admin", &address]).run();
    assert!(String::from_utf8_lossy(&table.stdout).contains("leader"));
}

/// As the process that was started, which is the one that is told to stop.
#[test]
fn a_node_that_is_told_to_asks_for_huge_pages_where_the_kernel_gives_them_to_who_asks() {
    let kernel = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let kernel = kernel.unwrap_or_default();
    let asks = cfg!(target_env = "gnu") && kernel.contains("[madvise]");
    let unasked = if kernel.contains("[always]") { "always" } else { "off" };
    let told = |flags: &[&str]| {
        let mut cluster = Cluster::new(1);
        cluster.flags(flags);
        cluster.start(0);
        cluster.wait_ready();
        let started = cluster.process_id(0);
        let environment = std::fs::read(format!("/proc/{started}/environ")).unwrap();
        let has_asked = String::from_utf8_lossy(&environment).contains("glibc.malloc.hugetlb=1");
        let status = cluster.status(0).unwrap();
        (status["huge_pages"].as_str().unwrap().to_owned(), has_asked)
    };
    let by_advice = if asks { "by advice" } else { unasked };
    assert_eq!(told(&["--huge-pages", "auto"]), (by_advice.to_owned(), asks));
    assert_eq!(told(&[]), (unasked.to_owned(), false));
}
