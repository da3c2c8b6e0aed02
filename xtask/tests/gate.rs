//! What `.ci/bounded` promises the gate: nothing that it runs outlasts its limit,
//! and what did is told.
//!
//! Linux alone: elsewhere there is no `/proc`, and only a process group is ended.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers end it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `.ci/bounded` with one second for `script`; its reports and the log that it
/// reads stand under `name`.
#[expect(clippy::disallowed_methods, reason = "what is tested is that it ends")]
fn bounded(name: &str, log: &str, script: &str) -> (Output, String) {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = |ending: &str| -> PathBuf { home.join(format!("{name}.{ending}")) };
    fs::write(path("log"), log).unwrap();
    let _ = fs::remove_file(path("hung"));
    let output = Command::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/bounded"))
        .args(["1", "bash", "-c", script])
        .env("GATE_LOG", path("log"))
        .env("GATE_HUNG", path("hung"))
        .output()
        .unwrap();
    (output, fs::read_to_string(path("hung")).unwrap_or_default())
}

/// Processes whose command line holds `text`, but for this one.
fn running(text: &str) -> usize {
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        fs::read(path.join("cmdline")).ok()
    });
    commands.filter(|command| String::from_utf8_lossy(command).contains(text)).count()
}

#[test]
fn a_command_that_never_ends_is_ended_with_all_that_it_started_and_told() {
    // A child, one that left the session, and one whose parent is gone.
    let script = "sleep 31536001 & setsid sleep 31536001 & (sleep 31536001 &) ; wait; echo no";
    let (output, hung) = bounded("endless", "", script);
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(hung.starts_with("HUNG: not ended after 1 s: bash -c sleep"), "{hung}");
    assert!(hung.matches("S sleep 31536001").count() >= 3, "{hung}");
    assert_eq!(running("sleep\u{0}31536001"), 0);
}

#[test]
fn a_bounded_command_within_another_ends_with_it() {
    let script = "bash .ci/bounded 31536002 sleep 31536002";
    let (output, hung) = bounded("nested", "", &format!("cd {} && {script}", root()));
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert!(hung.contains("S sleep 31536002"), "{hung}");
    assert_eq!(running("31536002"), 0);
}

#[test]
fn a_report_names_the_tests_that_did_not_end() {
    let log = "     Running tests/old.rs (target/debug/deps/old-1)\n\
               test earlier has been running for over 60 seconds\n\
               \x20    Running tests/main.rs (target/debug/deps/main-1)\n\
               test slow has been running for over 60 seconds\n\
               test stuck::for_ever has been running for over 60 seconds\n\
               test slow ... ok\n\
               test alone ... ";
    let (_, hung) = bounded("names", log, "sleep 31536003");
    let ended: Vec<&str> = hung.lines().filter(|line| line.starts_with("did not end")).collect();
    assert_eq!(ended, ["did not end: stuck::for_ever", "did not end: alone"], "{hung}");
    assert!(hung.contains("the last test binary:     Running tests/main.rs"), "{hung}");
}

#[test]
fn a_command_that_ends_in_time_keeps_its_status_and_what_it_said() {
    let (output, hung) = bounded("timely", "", "echo done; exit 7");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
    assert_eq!(hung, "");
}

fn root() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}
