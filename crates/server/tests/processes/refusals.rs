//! What is wrong before anything runs is refused with a code and one line.

use std::net::TcpListener;
use std::process::Output;

use crate::cluster::raftlet;
use crate::waiting::Run;

fn refusal(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("raftlet: ")).unwrap_or(&said).to_owned();
    (output.status.code(), line)
}

#[test]
fn a_flag_that_does_not_parse_is_a_usage_error() {
    let output = raftlet().args(["serve", "--nonsense"]).run();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_flag_that_cannot_stand_is_a_configuration_error_with_its_name() {
    let output = raftlet().args(["serve", "--shards", "2"]).run();
    let (code, line) = refusal(&output);
    assert_eq!(code, Some(3), "{line}");
    assert!(line.contains("--shards 2"), "{line}");
}

#[test]
fn asking_a_node_that_is_not_there_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let output = raftlet().args(["status", "--admin", &address]).run();
    let (code, line) = refusal(&output);
    assert_eq!(code, Some(6), "{line}");
    assert!(line.contains(&address), "{line}");
}

#[test]
fn a_taken_port_is_refused_by_its_flag() {
    const FLAGS: [&str; 3] = ["--client-addr", "--peer-addr", "--admin-addr"];
    for flag in FLAGS {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let dir = tempfile::tempdir().unwrap();
        let mut command = raftlet();
        command.arg("serve").arg("--data-dir").arg(dir.path());
        for listen in FLAGS {
            let any = "127.0.0.1:0";
            command.args([listen, if listen == flag { &address } else { any }]);
        }
        let (code, line) = refusal(&command.run());
        assert_eq!(code, Some(5), "{line}");
        assert!(line.contains(flag) && line.contains(&address), "{line}");
        let began = dir.path().join("IDENTITY").exists();
        assert!(!began, "the refused start began to use the directory");
    }
}
