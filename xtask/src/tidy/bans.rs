//! Words that code may not contain, by place (rules 39, 40; D1, D2).
//!
//! A ban is data: a rule's name, what to look for, where, and what to do
//! instead. Only code counts, not strings or comments, except for leftovers
//! (`leftover`), which are looked for in comments too.
//!
//! Not here: names of files (`shape.rs`), arrows (`arrows.rs`). Clippy bans
//! some of the same things; this also covers what a macro or a path hides.

use super::{Finding, House};
use crate::rust::{Source, paths};
use crate::tree::File;

/// Where a ban holds.
#[derive(Clone, Copy)]
enum Place {
    Everywhere,
    /// `crates/core/src`.
    Core,
    /// `crates/core/src` and `crates/raftlet/src`.
    CoreAndDriver,
    /// Everywhere but the files that may read the clock.
    OffTheClock,
    /// Test files and `#[cfg(test)]` items.
    Tests,
}

struct Ban {
    rule: &'static str,
    place: Place,
    /// Tokens in a row.
    code: &'static [&'static str],
    remedy: &'static str,
}

/// May read the real clock besides benchmarks: the server's clock, that of an
/// embedder's program, the simulator's display of its own speed, and the house's
/// own tools.
const CLOCK_READERS: [&str; 6] = [
    "crates/server/src/process/clock.rs",
    "crates/raftlet/examples/on_tokio.rs",
    "crates/sim/src/batch.rs",
    "xtask/",
    "bench/",
    "tools/",
];

const fn ban(
    rule: &'static str,
    place: Place,
    code: &'static [&'static str],
    remedy: &'static str,
) -> Ban {
    Ban { rule, place, code, remedy }
}

const NO_CLOCK: &str = "time is an argument here (D2)";
const NO_CHANCE: &str = "randomness is a seed given at start (D2)";
const NO_ORDER: &str = "its order differs from run to run; BTreeMap, or a Vec kept sorted";
const PORT_CLOCK: &str =
    "read the injected clock; only crates/server/src/process/clock.rs reads this one";

const BANS: [Ban; 22] = [
    ban("unsafe", Place::Everywhere, &["unsafe"], "nowhere (rule 40)"),
    ban("no-ignore", Place::Everywhere, &["#", "[", "ignore"], "a test runs or goes"),
    ban("no-should-panic", Place::Everywhere, &["should_panic"], "say what is refused, by type"),
    ban("core-pure", Place::Core, &["async"], "the core is sans-io (D1)"),
    ban("core-pure", Place::Core, &["await"], "the core is sans-io (D1)"),
    ban("core-pure", Place::Core, &["tracing"], "the core counts and reports events (D1)"),
    ban("no-clock", Place::CoreAndDriver, &["Instant"], NO_CLOCK),
    ban("no-clock", Place::CoreAndDriver, &["SystemTime"], NO_CLOCK),
    ban("no-chance", Place::CoreAndDriver, &["rand"], NO_CHANCE),
    ban("no-chance", Place::CoreAndDriver, &["getrandom"], NO_CHANCE),
    ban("no-chance", Place::CoreAndDriver, &["fastrand"], NO_CHANCE),
    ban("no-chance", Place::CoreAndDriver, &["RandomState"], NO_CHANCE),
    ban("no-hash-order", Place::CoreAndDriver, &["HashMap"], NO_ORDER),
    ban("no-hash-order", Place::CoreAndDriver, &["HashSet"], NO_ORDER),
    ban("clock-readers", Place::OffTheClock, &["Instant", "::", "now"], PORT_CLOCK),
    ban("clock-readers", Place::OffTheClock, &["SystemTime", "::", "now"], PORT_CLOCK),
    ban("clock-readers", Place::OffTheClock, &["UNIX_EPOCH", ".", "elapsed"], PORT_CLOCK),
    ban("no-sleep", Place::Tests, &["thread", "::", "sleep"], "wait for what must happen"),
    ban("no-sleep", Place::Tests, &["time", "::", "sleep"], "wait for what must happen"),
    ban("no-sleep", Place::Tests, &["{", "sleep", "("], "wait for what must happen"),
    ban("no-sleep", Place::Tests, &[";", "sleep", "("], "wait for what must happen"),
    ban("no-sleep", Place::Tests, &["sleep_ms"], "wait for what must happen"),
];

/// Paths that core may not name. A `Duration` is a number, not a clock.
const CORE_PATHS: [&str; 4] = ["fs", "net", "time", "thread"];
/// The same for the driver: it awaits ports, it opens nothing (rule 40).
const DRIVER_PATHS: [&str; 3] = ["fs", "net", "thread"];
const LEFTOVERS: [&str; 2] = ["FIXME", "XXX"];

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in house.tree.rust() {
        let source = Source::parse(file.text());
        words(file, &source, &mut findings);
        std_paths(file, &source, &mut findings);
        leftovers(file, &source, &mut findings);
    }
    findings
}

fn words(file: &File, source: &Source<'_>, findings: &mut Vec<Finding>) {
    for ban in &BANS {
        for at in source.find(ban.code) {
            let Some(token) = source.tokens.get(at) else {
                continue;
            };
            if holds(ban.place, &file.path, token.is_test) {
                let message = format!("`{}`: {}", ban.code.concat(), ban.remedy);
                findings.push(Finding::new(ban.rule, &file.path, token.line, message));
            }
        }
    }
}

fn holds(place: Place, path: &str, is_test: bool) -> bool {
    let is_core = path.starts_with("crates/core/src/");
    match place {
        Place::Everywhere => true,
        Place::Core => is_core,
        Place::CoreAndDriver => is_core || path.starts_with("crates/raftlet/src/"),
        Place::OffTheClock => {
            !path.contains("/benches/")
                && CLOCK_READERS.iter().all(|reader| !path.starts_with(reader))
        }
        Place::Tests => is_test || is_test_file(path),
    }
}

/// A file that only tests use.
pub(super) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn std_paths(file: &File, source: &Source<'_>, findings: &mut Vec<Finding>) {
    let (rule, banned) = if file.path.starts_with("crates/core/src/") {
        ("core-pure", CORE_PATHS.as_slice())
    } else if file.path.starts_with("crates/raftlet/src/") {
        ("driver-pure", DRIVER_PATHS.as_slice())
    } else {
        return;
    };
    for path in paths(&source.tokens) {
        let [root, module, rest @ ..] = path.segments.as_slice() else {
            continue;
        };
        let is_duration = *module == "time" && rest.first() == Some(&"Duration");
        if *root == "std" && banned.contains(module) && !is_duration {
            let message = format!("`std::{module}`: comes in through a port (D1, D10)");
            findings.push(Finding::new(rule, &file.path, path.line, message));
        }
    }
}

fn leftovers(file: &File, source: &Source<'_>, findings: &mut Vec<Finding>) {
    let comments = source.comments.iter().map(|comment| (comment.line, comment.text));
    let code = source.tokens.iter().filter(|token| token.is_code());
    for (line, text) in comments.chain(code.map(|token| (token.line, token.text))) {
        if let Some(word) = LEFTOVERS.iter().find(|word| text.contains(*word)) {
            let message = format!("`{word}`: do it, or leave it");
            findings.push(Finding::new("leftover", &file.path, line, message));
        }
    }
}
