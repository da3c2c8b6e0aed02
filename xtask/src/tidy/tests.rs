//! Every rule is shown to fire, each on a small tree that is otherwise clean.
//!
//! [`CLEAN`] is the smallest tree without a finding; a test adds the file or
//! replaces the one that breaks a rule, and names the findings it expects.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Outcome, check};

const MANIFEST: &str =
    "[package]\nname = \"raftlet-core\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

const CLEAN: [(&str, &str); 8] = [
    ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n"),
    ("crates/core/Cargo.toml", MANIFEST),
    (
        "crates/core/src/lib.rs",
        "//! Core (rule 1, D1, §3.4).\n\nmod ids;\nmod log;\n\npub use ids::Index;\n",
    ),
    ("crates/core/src/ids.rs", "//! Ids.\n\npub struct Index(u64);\n"),
    (
        "crates/core/src/log.rs",
        "//! The log.\n\nuse std::mem;\n\nuse bytes::Bytes;\n\nuse crate::Index;\n",
    ),
    ("docs/rules.md", "# Rules\n\n1. One.\n2. Two, see `decisions/0001-first.md`.\n"),
    ("docs/dissertation-sections.md", "- §3.4 Leader election\n"),
    (VOTES, "# One vote a term (§3.4).\n"),
];

const VOTES: &str = "crates/core/tests/scripts/elections/votes.txt";

/// A tree of [`CLEAN`] with `changes` on top.
fn tree(changes: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(path, text).expect("written");
    };
    for (path, text) in CLEAN {
        write(path, text);
    }
    write("docs/decisions/0001-first.md", "# First\n");
    for (path, text) in changes {
        write(path, text);
    }
    root
}

fn outcome(changes: &[(&str, &str)]) -> Outcome {
    check(tree(changes).path()).expect("a tree that can be read")
}

/// The findings as `rule path:line`.
fn found(changes: &[(&str, &str)]) -> Vec<String> {
    let place =
        |finding: &super::Finding| format!("{} {}:{}", finding.rule, finding.path, finding.line);
    outcome(changes).findings.iter().map(place).collect()
}

/// A core whose root also declares `name`.
fn core_with(name: &str) -> String {
    format!(
        "//! Core (rule 1, D1, §3.4).\n\nmod ids;\nmod log;\nmod {name};\n\npub use ids::Index;\n"
    )
}

const ROOT: &str = "crates/core/src/lib.rs";
const LOG: &str = "crates/core/src/log.rs";

fn log_with(code: &str) -> String {
    format!("//! The log.\n\n{code}\n")
}

#[test]
fn this_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    let outcome = check(root).expect("a tree that can be read");
    assert!(outcome.findings.is_empty(), "\n{outcome}");
}

#[test]
fn a_clean_tree_has_no_findings() {
    let outcome = outcome(&[]);
    assert!(outcome.findings.is_empty(), "\n{outcome}");
    assert!(outcome.to_string().contains("nothing to tidy"));
}

#[test]
fn an_arrow_that_is_not_in_the_table_is_found() {
    let manifest = format!("{MANIFEST}[dependencies]\nraftlet = {{ path = \"../raftlet\" }}\n");
    let raftlet = "[package]\nname = \"raftlet\"\nedition = \"2024\"\n";
    let changes = [
        ("crates/core/Cargo.toml", manifest.as_str()),
        ("crates/raftlet/Cargo.toml", raftlet),
        ("crates/raftlet/src/lib.rs", "//! Driver.\n"),
    ];
    assert_eq!(found(&changes), ["arrows crates/core/Cargo.toml:0"]);
}

#[test]
fn a_dev_dependency_is_no_arrow() {
    let manifest = format!("{MANIFEST}[dev-dependencies]\ntempfile = \"3\"\nraftlet = \"0.1\"\n");
    assert_eq!(found(&[("crates/core/Cargo.toml", &manifest)]), [""; 0]);
}

#[test]
fn core_may_use_three_crates_of_others_and_no_fourth() {
    let manifest = format!("{MANIFEST}[dependencies]\nbytes = \"1\"\nserde = \"1\"\n");
    assert_eq!(
        found(&[("crates/core/Cargo.toml", &manifest)]),
        ["arrows crates/core/Cargo.toml:0"]
    );
}

#[test]
fn the_driver_has_no_runtime_inside() {
    let raftlet =
        "[package]\nname = \"raftlet\"\nedition = \"2024\"\n[dependencies]\ntokio = \"1\"\n";
    let changes =
        [("crates/raftlet/Cargo.toml", raftlet), ("crates/raftlet/src/lib.rs", "//! Driver.\n")];
    assert_eq!(found(&changes), ["arrows crates/raftlet/Cargo.toml:0"]);
}

#[test]
fn a_crate_without_a_place_in_the_table_is_found() {
    let changes = [
        ("crates/new/Cargo.toml", "[package]\nname = \"raftlet-new\"\nedition = \"2024\"\n"),
        ("crates/new/src/lib.rs", "//! New.\n"),
    ];
    assert_eq!(found(&changes), ["arrows crates/new/Cargo.toml:0"]);
}

#[test]
fn siblings_that_use_each_other_are_a_cycle() {
    let ids = "//! Ids.\n\nuse crate::log::Log;\n\npub struct Index(u64);\n";
    let log = log_with("use crate::Index;\n\npub struct Log;");
    let changes = [("crates/core/src/ids.rs", ids), (LOG, log.as_str())];
    assert_eq!(found(&changes), ["module-cycles crates/core/src/ids.rs:3"]);
}

#[test]
fn a_cycle_of_grandchildren_shows_between_their_ancestors() {
    let ids = "//! Ids.\n\nmod deep;\n\npub struct Index(u64);\n";
    let deep = "//! Deep.\n\nuse crate::log::Log;\n";
    let changes = [("crates/core/src/ids.rs", ids), ("crates/core/src/ids/deep.rs", deep)];
    assert_eq!(found(&changes), ["module-cycles crates/core/src/ids/deep.rs:3"]);
}

#[test]
fn one_wrong_arrow_is_one_finding_however_many_cycles_it_closes() {
    let root = "//! Core (rule 1, D1, §3.4).\n\nmod a;\nmod b;\nmod ids;\nmod log;\n\npub use ids::Index;\n";
    let changes = [
        (ROOT, root),
        ("crates/core/src/ids.rs", "//! Ids.\n\nuse crate::b::B;\n\npub struct Index(u64);\n"),
        ("crates/core/src/a.rs", "//! A.\n\nuse crate::Index;\n\npub struct A;\n"),
        (
            "crates/core/src/b.rs",
            "//! B.\n\nuse crate::a::A;\nuse crate::Index;\n\npub struct B;\n",
        ),
    ];
    assert_eq!(found(&changes), ["module-cycles crates/core/src/b.rs:4"]);
}

#[test]
fn parent_and_child_may_know_each_other_and_tests_may_know_all() {
    let ids = "//! Ids.\n\nmod deep;\n\npub struct Index(u64);\n\nfn f() {\n    deep::g();\n}\n\n\
               #[cfg(test)]\nmod tests {\n    use crate::log::Log;\n}\n";
    let deep = "//! Deep.\n\nuse super::Index;\n";
    let changes = [("crates/core/src/ids.rs", ids), ("crates/core/src/ids/deep.rs", deep)];
    assert_eq!(found(&changes), [""; 0]);
}

#[test]
fn a_file_that_no_root_reaches_is_found() {
    let orphan = ("crates/core/src/orphan.rs", "//! Alone.\n");
    assert_eq!(found(&[orphan]), ["reachable crates/core/src/orphan.rs:0"]);
    assert_eq!(found(&[orphan, (ROOT, &core_with("orphan"))]), [""; 0]);
}

#[test]
fn a_file_without_an_essay_is_found() {
    assert_eq!(found(&[(LOG, "fn f() {}\n")]), ["essay crates/core/src/log.rs:1"]);
}

#[test]
fn a_long_file_needs_a_reason_and_a_place_on_the_list() {
    let long = format!("//! The log.\n{}", "// line\n".repeat(600));
    let place = "file-lines crates/core/src/log.rs:0";
    assert_eq!(found(&[(LOG, &long)]), [place, place]);
    let reasoned = format!("//! Long because it is one table.\n{}", "// line\n".repeat(600));
    assert_eq!(found(&[(LOG, &reasoned)]), [place]);
    let listed = ("xtask/long-files.txt", "crates/core/src/log.rs 601\n");
    assert_eq!(found(&[(LOG, &reasoned), listed]), [""; 0]);
}

#[test]
fn a_long_file_may_shrink_and_never_grow() {
    let lines =
        |count: usize| format!("//! Long because it is a table.\n{}", "// x\n".repeat(count));
    let listed = ("xtask/long-files.txt", "crates/core/src/log.rs 700\n");
    assert_eq!(found(&[(LOG, &lines(650)), listed]), [""; 0]);
    assert_eq!(found(&[(LOG, &lines(700)), listed]), ["file-lines crates/core/src/log.rs:0"]);
    assert_eq!(found(&[(LOG, &lines(10)), listed]), ["file-lines xtask/long-files.txt:1"]);
}

#[test]
fn names_without_an_idea_are_found() {
    let changes = [("crates/core/src/utils.rs", "//! Bits.\n"), (ROOT, &core_with("utils"))];
    assert_eq!(found(&changes), ["file-name crates/core/src/utils.rs:0"]);
    let changes = [("crates/core/src/a/mod.rs", "//! Bits.\n"), (ROOT, &core_with("a"))];
    assert_eq!(found(&changes), ["file-name crates/core/src/a/mod.rs:0"]);
}

#[test]
fn a_heavy_file_is_found_and_a_lock_file_is_exempt() {
    let heavy = "x".repeat(300 << 10);
    assert_eq!(found(&[("docs/heavy.txt", &heavy)]), ["file-bytes docs/heavy.txt:0"]);
    assert_eq!(found(&[("bench/Cargo.lock", &heavy)]), [""; 0]);
}

#[test]
fn a_golden_script_without_a_claim_is_found() {
    let path = "crates/core/tests/scripts/election/one.txt";
    assert_eq!(found(&[(path, "elect 1\n----\n")]), [format!("script-claim {path}:1")]);
    assert_eq!(found(&[(path, "# One leads.\nelect 1\n----\n")]), [""; 0]);
}

#[test]
fn what_core_may_not_contain_is_found_line_by_line() {
    let log = log_with(
        "use std::{fs, mem};\n\nasync fn f() {}\n\nfn g() {\n    tracing::info!(\"x\");\n    \
         let a = std::time::UNIX_EPOCH;\n    let b = std::time::Duration::ZERO;\n}",
    );
    let at = |line: usize| format!("core-pure {LOG}:{line}");
    assert_eq!(found(&[(LOG, &log)]), [at(3), at(5), at(8), at(9)]);
}

#[test]
fn clocks_chance_and_hash_order_stay_out_of_core_and_driver() {
    let code = "//! Driver.\n\nuse std::collections::HashMap;\nuse std::thread;\nuse std::time::Instant;\n\nuse rand::Rng;\n";
    let changes = [
        ("crates/raftlet/Cargo.toml", "[package]\nname = \"raftlet\"\nedition = \"2024\"\n"),
        ("crates/raftlet/src/lib.rs", code),
    ];
    let file = "crates/raftlet/src/lib.rs";
    let expected = [
        format!("no-hash-order {file}:3"),
        format!("driver-pure {file}:4"),
        format!("no-clock {file}:5"),
        format!("no-chance {file}:7"),
    ];
    assert_eq!(found(&changes), expected);
}

#[test]
fn unsafe_is_found_everywhere_and_only_in_code() {
    let script = "//! Builds, with unsafe in words only.\n\nfn main() {\n    unsafe { f() };\n}\n";
    assert_eq!(found(&[("crates/core/build.rs", script)]), ["unsafe crates/core/build.rs:4"]);
    assert_eq!(found(&[(LOG, &log_with("// unsafe\nconst A: &str = \"unsafe\";"))]), [""; 0]);
}

#[test]
fn only_the_servers_clock_reads_the_clock() {
    let manifest = "[package]\nname = \"raftlet-server\"\nedition = \"2024\"\n";
    let code = "//! Reads.\n\nfn f() {\n    std::time::Instant::now();\n}\n";
    let root = "//! Server.\n\nmod node;\nmod process;\n";
    let changes = [
        ("crates/server/src/process.rs", "//! Processes.\n\nmod clock;\n"),
        ("crates/server/Cargo.toml", manifest),
        ("crates/server/src/lib.rs", root),
        ("crates/server/src/process/clock.rs", code),
        ("crates/server/src/node.rs", code),
    ];
    assert_eq!(found(&changes), ["clock-readers crates/server/src/node.rs:4"]);
}

#[test]
fn tests_that_hide_or_wait_are_found() {
    let code = log_with(
        "#[cfg(test)]\nmod tests {\n    #[test]\n    #[ignore]\n    fn a() {\n        \
         std::thread::sleep(d);\n    }\n\n    #[test]\n    #[should_panic]\n    fn b() {}\n}",
    );
    let expected = [
        format!("no-ignore {LOG}:6"),
        format!("core-pure {LOG}:8"),
        format!("no-sleep {LOG}:8"),
        format!("no-should-panic {LOG}:12"),
    ];
    assert_eq!(found(&[(LOG, &code)]), expected);
}

#[test]
fn a_leftover_is_found_in_a_comment() {
    let word = ["FIX", "ME"].concat();
    assert_eq!(
        found(&[(LOG, &log_with(&format!("// {word}: later")))]),
        [format!("leftover {LOG}:3")]
    );
}

#[test]
fn imports_out_of_order_or_unparted_are_found() {
    let place = |line: usize| format!("imports {LOG}:{line}");
    let unparted = log_with("use std::mem;\nuse bytes::Bytes;");
    assert_eq!(found(&[(LOG, &unparted)]), [place(4)]);
    let unordered = log_with("use bytes::Bytes;\n\nuse std::mem;");
    assert_eq!(found(&[(LOG, &unordered)]), [place(5)]);
    let scattered = log_with("use std::mem;\n\nuse std::fmt;");
    assert_eq!(found(&[(LOG, &scattered)]), [place(5)]);
    let in_tests = log_with("#[cfg(test)]\nmod tests {\n    use super::a;\n    use std::mem;\n}");
    assert_eq!(found(&[(LOG, &in_tests)]), [place(6)]);
}

#[test]
fn a_citation_of_what_does_not_exist_is_found() {
    let place = |line: usize| format!("citations {LOG}:{line}");
    let code = log_with("// See rule 9.\n// D7 says so.\n// As in §3.99.\n// Rules 1 and 2, §3.4.");
    assert_eq!(found(&[(LOG, &code)]), [place(3), place(4), place(5)]);
    let notes = outcome(&[]).to_string();
    assert!(notes.contains("rules cited by no Rust file: 2"), "{notes}");
}

#[test]
fn a_hole_in_the_numbers_is_found() {
    let rules = ("docs/rules.md", "1. One.\n3. Three.\n");
    assert_eq!(found(&[rules]), ["citations docs/rules.md:0"]);
}

#[test]
fn a_scenario_that_no_test_shows_is_found_and_an_open_one_is_told() {
    let catalogue = "| no. | what | shown by |\n| --- | --- | --- |\n\
                     | E1 | One. | votes/one, holds |\n| E2 | Two. | votes/gone |\n\
                     | E4 | Four. | open |\n";
    let script = ("crates/core/tests/scripts/votes/one.txt", "# One (E1, R9).\n");
    let code = log_with("#[cfg(test)]\nmod tests {\n    #[test]\n    fn holds() {}\n}");
    let changes = [("docs/scenarios.md", catalogue), script, (LOG, &*code)];
    let place = |line: usize| format!("scenarios docs/scenarios.md:{line}");
    let cited = "scenarios crates/core/tests/scripts/votes/one.txt:1".to_owned();
    assert_eq!(found(&changes), [cited, place(4), place(5)]);
    assert!(outcome(&changes).to_string().contains("scenarios: 1 of 3 are open"));
}

#[test]
fn a_document_that_names_a_missing_path_is_found() {
    let text = "# Read\n\n`crates/core/src/ids.rs`, `docs/gone.md`, [here](docs/gone.md).\n\n\
                ```text\n`docs/not-read.md`\n```\n`crates/later/src/x.rs`\n";
    let place = "named-paths README.md:3";
    assert_eq!(found(&[("README.md", text)]), [place, place]);
}

#[test]
fn an_essay_that_names_a_missing_file_is_found() {
    let code = "//! The log.\n//! Not here: `ids.rs`, `gone.rs`.\n";
    assert_eq!(found(&[(LOG, code)]), [format!("named-paths {LOG}:2")]);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let path = ["/wor", "k/main"].concat();
    let text = format!("# Read\n\nIt lies in {path}.\n");
    assert_eq!(found(&[("README.md", &text)]), ["machine-words README.md:3"]);
}

#[test]
fn a_changed_format_is_found_until_its_hash_is_written_down() {
    let document = |hash: &str| format!("# Wire\n\nformat-hash: {hash} of {LOG}\n");
    let stale = outcome(&[("docs/wire.md", &document("00"))]);
    let [finding] = stale.findings.as_slice() else { panic!("one finding, not {stale}") };
    assert_eq!((finding.rule, finding.line), ("format-hash", 3));
    let (_, hash) = finding.message.split_once("write `format-hash: ").expect("the new line");
    let hash = hash.split(' ').next().expect("the hash");

    let fresh = ("docs/wire.md", &*document(hash));
    assert_eq!(found(&[fresh]), [""; 0]);
    let old = CLEAN.iter().find(|(path, _)| *path == LOG).expect("the log").1;
    assert_eq!(found(&[fresh, (LOG, &format!("{old}// A comment is no format.\n"))]), [""; 0]);
    assert_eq!(
        found(&[fresh, (LOG, &format!("{old}const A: u8 = 1;\n"))]),
        ["format-hash docs/wire.md:3"]
    );
}

#[test]
fn a_format_document_without_a_hash_is_found() {
    assert_eq!(found(&[("docs/format-log.md", "# Log\n")]), ["format-hash docs/format-log.md:0"]);
}

#[test]
fn an_exception_excuses_one_file_and_must_excuse_something() {
    let orphan = ("crates/core/src/orphan.rs", "//! Alone.\n");
    let excuse = "reachable crates/core/src/orphan.rs compiled by hand\n";
    assert_eq!(found(&[orphan, ("xtask/exceptions.txt", excuse)]), [""; 0]);
    assert_eq!(found(&[("xtask/exceptions.txt", excuse)]), ["exceptions xtask/exceptions.txt:1"]);
    let unreasoned = ("xtask/exceptions.txt", "reachable crates/core/src/orphan.rs\n");
    let both = ["reachable crates/core/src/orphan.rs:0", "exceptions xtask/exceptions.txt:1"];
    assert_eq!(found(&[orphan, unreasoned]), both);
}

#[test]
fn a_section_that_code_follows_and_no_test_names_is_found() {
    let places = found(&[(VOTES, "# One vote a term.\n")]);
    assert_eq!(places, ["citations docs/dissertation-sections.md:0"]);
}

#[test]
fn what_the_table_of_capabilities_names_must_exist_and_name_every_method() {
    let handle = "//! Handles.\n\npub fn read() {}\n\npub fn stop() {}\n";
    let row = "| a read | `read`, `write` | – | `gone` | reads/gone | M99 |\n";
    let manifest = MANIFEST.replace("raftlet-core", "raftlet");
    let places = found(&[
        ("crates/raftlet/Cargo.toml", &manifest),
        ("crates/raftlet/src/lib.rs", "//! Raft.\n"),
        ("crates/raftlet/src/shard/handle.rs", handle),
        ("docs/capabilities.md", row),
    ]);
    let of_table = places.iter().filter(|place| place.starts_with("capabilities")).count();
    // `write`, the example, the script and the mutant; and `stop` is missing.
    assert_eq!(of_table, 5, "{places:?}");
}
