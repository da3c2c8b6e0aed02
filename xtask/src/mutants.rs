//! Breaks the core on purpose and demands that the simulator notices.
//!
//! A mutant is a deliberate bug that exists only under `--cfg mutants`; which
//! one is active is chosen at run time. So there is one build, in a target
//! directory of its own (the product's build stays as it was), with profile
//! `sim`: release code with debug assertions.
//!
//! The simulator's side of the contract:
//!
//! - `raftlet-sim core --list-mutants --json` prints a JSON array of
//!   `{id, name, invariant, suite}`. Suite `sim` is the simulator itself, any
//!   other is a package whose tests must fail (`mutants/tests_of.rs`).
//! - `raftlet-sim core --mutant ID --seeds A..B --json` stops at the first
//!   violation and exits 1; exit 0 means that the mutant survived. The last
//!   line of its output is a JSON object with `seeds`, `steps` and `violation`
//!   (`null`, or `{seed, step, invariant, claim, detail}`).
//!
//! Invariants
//! - The unbroken core runs the same seeds and must pass: a simulator that
//!   always cries wolf kills every mutant and proves nothing.
//! - Any other exit (a crash, a usage error) is neither caught nor survived:
//!   it is reported as broken and fails the run.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use self::tests_of::TestsOf;

mod tests_of;

/// The suite that is the simulator.
const SIMULATION: &str = "sim";

/// Enough for every mutant known so far; most die within ten.
const SEEDS_DEFAULT: &str = "1..2001";

/// After this a run counts as broken: a mutant may loop without end. Two
/// thousand seeds of the unbroken core take a fraction of it.
const RUN_MAX: Duration = Duration::from_secs(1200);

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) json: bool,
    seeds: String,
    only: Option<String>,
}

impl Settings {
    /// # Errors
    /// Names the argument that is not understood.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut settings = Self { json: false, seeds: SEEDS_DEFAULT.to_owned(), only: None };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value =
                || rest.next().map(|value| (*value).to_owned()).ok_or("a value is missing");
            match *argument {
                "--json" => settings.json = true,
                "--seeds" => settings.seeds = value()?,
                "--only" => settings.only = Some(value()?),
                unknown => return Err(format!("mutants: no option `{unknown}`")),
            }
        }
        Ok(settings)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The simulator saw a violation.
    Caught,
    /// All seeds passed.
    Passed,
    /// The run itself failed: no verdict.
    Broken,
}

/// One run of the simulator, or of a package's tests.
#[derive(Debug)]
struct Run {
    id: String,
    name: String,
    verdict: Verdict,
    /// Caught: the invariant that was violated. Otherwise the expected one.
    invariant: String,
    /// Caught: what that invariant says.
    claim: String,
    /// Of tests: those that failed.
    seeds: u64,
    /// Of tests: those that ran.
    steps: u64,
    /// Caught: what was seen. Broken: what the run said.
    detail: String,
}

/// All runs.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One of each suite that was needed.
    unbroken: Vec<Run>,
    mutants: Vec<Run>,
    seeds: String,
}

/// Builds the simulator with its mutants and runs each.
///
/// # Errors
/// When it cannot be built or started, or lists no mutants.
pub(crate) fn run(
    root: &Path,
    settings: &Settings,
    progress: &mut dyn FnMut(&str),
) -> Result<Outcome, Box<dyn Error>> {
    if !root.join("crates/sim/Cargo.toml").is_file() {
        return Err("there is no crates/sim yet, so nothing can be caught".into());
    }
    progress("building raftlet-sim with --cfg mutants");
    let simulator = build(root)?;
    let mut listed = list(&simulator, settings.only.as_deref())?;
    listed.sort_by_key(|mutant| text(mutant, "suite") != SIMULATION);
    let mut unbroken = Vec::new();
    if listed.iter().any(|mutant| text(mutant, "suite") == SIMULATION) {
        unbroken.push(Run::of(&simulator, &Value::Null, settings)?);
    }
    let mut suites: Vec<String> = listed.iter().map(|mutant| text(mutant, "suite")).collect();
    suites.sort();
    suites.dedup();
    suites.retain(|suite| suite != SIMULATION);
    let mut tests = Vec::new();
    for package in &suites {
        progress(&format!("building the tests of {package} with --cfg mutants"));
        let built = TestsOf::build(root, package)?;
        unbroken.push(built.run(&Value::Null)?);
        tests.push(built);
    }
    unbroken.iter().for_each(|run| progress(&run.row()));
    let mut mutants = Vec::new();
    for mutant in &listed {
        let suite = text(mutant, "suite");
        let run = match tests.iter().find(|tests| tests.package == suite) {
            Some(tests) => tests.run(mutant)?,
            None => Run::of(&simulator, mutant, settings)?,
        };
        progress(&run.row());
        mutants.push(run);
    }
    mutants.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
    Ok(Outcome { unbroken, mutants, seeds: settings.seeds.clone() })
}

#[expect(clippy::disallowed_methods, reason = "a build takes what it takes")]
fn build(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target = root.join("target/mutants");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--profile", "sim", "-p", "raftlet-sim", "--bin", "raftlet-sim"])
        .env("RUSTFLAGS", "--cfg mutants")
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err("raftlet-sim does not build with --cfg mutants".into());
    }
    Ok(target.join("sim/raftlet-sim"))
}

#[expect(clippy::disallowed_methods, reason = "it only prints a list")]
fn list(simulator: &Path, only: Option<&str>) -> Result<Vec<Value>, Box<dyn Error>> {
    let output = Command::new(simulator).args(["core", "--list-mutants", "--json"]).output()?;
    let listed: Value = serde_json::from_slice(&output.stdout)?;
    let mut mutants = listed.as_array().cloned().unwrap_or_default();
    mutants.retain(|mutant| only.is_none_or(|only| text(mutant, "id") == only));
    if mutants.is_empty() {
        return Err("the simulator lists no such mutants; was it built with --cfg mutants?".into());
    }
    Ok(mutants)
}

impl Run {
    /// Runs `mutant`, or the unbroken core for `null`.
    fn of(simulator: &Path, mutant: &Value, settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(simulator);
        command.args(["core", "--seeds", &settings.seeds, "--json"]);
        if !mutant.is_null() {
            command.args(["--mutant", &text(mutant, "id")]);
        }
        let ended = finish(&mut command, RUN_MAX)?;
        Ok(Self::judge(mutant, ended.code, &ended.stdout, &ended.stderr))
    }

    fn judge(mutant: &Value, code: Option<i32>, stdout: &str, stderr: &str) -> Self {
        let last = stdout.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let told: Value = serde_json::from_str(last).unwrap_or_default();
        let violation = told.get("violation").filter(|violation| violation.is_object());
        let verdict = match (code, violation) {
            (Some(0), None) if told.is_object() => Verdict::Passed,
            (Some(1), Some(_)) => Verdict::Caught,
            _ => Verdict::Broken,
        };
        let (invariant, detail) = match (verdict, violation) {
            (Verdict::Caught, Some(seen)) => (text(seen, "invariant"), text(seen, "detail")),
            (Verdict::Broken, _) => {
                let exit = code.map_or("a signal".to_owned(), |code| format!("exit {code}"));
                let reason = stderr.lines().last().unwrap_or("said nothing");
                (text(mutant, "invariant"), format!("{exit}: {reason}"))
            }
            _ => (text(mutant, "invariant"), String::new()),
        };
        let is_unbroken = mutant.is_null();
        Self {
            id: if is_unbroken { "-".to_owned() } else { text(mutant, "id") },
            name: if is_unbroken { "the unbroken core".to_owned() } else { text(mutant, "name") },
            verdict,
            invariant,
            claim: violation.map(|seen| text(seen, "claim")).unwrap_or_default(),
            seeds: number(&told, "seeds"),
            steps: number(&told, "steps"),
            detail,
        }
    }

    fn row(&self) -> String {
        let verdict = match (self.verdict, self.id.as_str()) {
            (Verdict::Caught, "-") => "FAILS",
            (Verdict::Passed, "-") => "passes",
            (Verdict::Caught, _) => "caught",
            (Verdict::Passed, _) => "SURVIVED",
            (Verdict::Broken, _) => "BROKEN",
        };
        let Self { id, name, seeds, steps, invariant, claim, .. } = self;
        let shown = if self.verdict == Verdict::Broken { &self.detail } else { claim };
        let row =
            format!("{id:<6} {name:<48} {verdict:<9} {seeds:>6} {steps:>10}  {invariant} {shown}");
        row.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Caught => "caught",
            Verdict::Passed => "passed",
            Verdict::Broken => "broken",
        };
        json!({
            "id": self.id, "name": self.name, "verdict": verdict, "invariant": self.invariant,
            "claim": self.claim,
            "seeds": self.seeds, "steps": self.steps, "detail": self.detail,
        })
    }
}

/// How a process ended and what it said.
#[derive(Debug)]
struct Ended {
    /// `None` after a signal, also our own.
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `command` to its end, or kills it after `limit`.
#[expect(clippy::disallowed_methods, reason = "it was killed, or its output has ended")]
fn finish(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stdout_ended) = collect(child.stdout.take());
    let (stderr, _) = collect(child.stderr.take());
    // A process that hangs keeps its output open; one that ends closes it.
    let is_late = stdout_ended.recv_timeout(limit).is_err();
    if is_late {
        child.kill()?;
    }
    let code = child.wait()?.code();
    let mut stderr = stderr.join().unwrap_or_default();
    if is_late {
        stderr.push_str(&format!("\nno end within {} s", limit.as_secs()));
    }
    Ok(Ended { code, stdout: stdout.join().unwrap_or_default(), stderr })
}

/// Reads a pipe to its end on a thread of its own, then says so.
fn collect(pipe: Option<impl Read + Send + 'static>) -> (JoinHandle<String>, Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // Half of a message is better than none: keep what arrived.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(());
        String::from_utf8_lossy(&bytes).into_owned()
    });
    (reader, receiver)
}

impl Outcome {
    /// Every mutant caught, and the unbroken core passed.
    pub(crate) fn is_good(&self) -> bool {
        self.unbroken.iter().all(|run| run.verdict == Verdict::Passed)
            && self.count(Verdict::Caught) == self.mutants.len()
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.mutants.iter().filter(|run| run.verdict == verdict).count()
    }

    /// A table, or one JSON object on one line.
    pub(crate) fn render(&self, as_json: bool) -> String {
        let total = self.mutants.len();
        let caught = self.count(Verdict::Caught);
        let survived = self.count(Verdict::Passed);
        if as_json {
            let mutants: Vec<Value> = self.mutants.iter().map(Run::json).collect();
            let unbroken: Vec<Value> = self.unbroken.iter().map(Run::json).collect();
            let all = json!({
                "seeds": self.seeds, "unbroken": unbroken, "mutants": mutants,
                "mutants_total": total, "mutants_caught": caught, "mutants_survived": survived,
                "is_good": self.is_good(),
            });
            return format!("{all}\n");
        }
        let mut table = format!(
            "{:<6} {:<48} {:<9} {:>6} {:>10}  by invariant, or by which failed of so many tests\n",
            "id", "what is broken", "verdict", "seeds", "steps"
        );
        for run in self.unbroken.iter().chain(&self.mutants) {
            table.push_str(&run.row());
            table.push('\n');
        }
        let _ = writeln!(table, "{caught} of {total} mutants caught, {survived} survived");
        table
    }
}

/// A string or number as text; empty where the key is missing.
fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Outcome, Run, Settings, Verdict, finish};

    fn mutant() -> Value {
        json!({"id": "M07", "name": "quorum of half", "invariant": "one leader a term"})
    }

    fn judged(mutant: &Value, code: i32, stdout: &str) -> Run {
        Run::judge(mutant, Some(code), stdout, "thread 'main' panicked\nat the end")
    }

    const CAUGHT: &str = "noise\n{\"seeds\":3,\"steps\":150,\"violation\":{\"seed\":3,\"step\":12,\
                          \"invariant\":\"one leader a term\",\"detail\":\"n1 and n2\"}}\n";
    const PASSED: &str = "{\"seeds\":2000,\"steps\":9000,\"violation\":null}\n";

    #[test]
    fn a_violation_with_exit_1_is_a_catch() {
        let run = judged(&mutant(), 1, CAUGHT);
        assert_eq!((run.verdict, run.seeds, run.steps), (Verdict::Caught, 3, 150));
        assert_eq!(run.invariant, "one leader a term");
    }

    #[test]
    fn a_crash_is_not_a_catch() {
        assert_eq!(judged(&mutant(), 101, "").verdict, Verdict::Broken);
        assert_eq!(judged(&mutant(), 1, "").verdict, Verdict::Broken);
        assert_eq!(judged(&mutant(), 0, CAUGHT).verdict, Verdict::Broken);
    }

    #[test]
    fn one_survivor_fails_the_run() {
        let outcome = |second: &str, code| Outcome {
            unbroken: vec![judged(&Value::Null, 0, PASSED)],
            mutants: vec![judged(&mutant(), 1, CAUGHT), judged(&mutant(), code, second)],
            seeds: "1..2001".to_owned(),
        };
        assert!(outcome(CAUGHT, 1).is_good());
        let survived = outcome(PASSED, 0);
        assert!(!survived.is_good());
        assert!(survived.render(false).contains("1 of 2 mutants caught, 1 survived"));
        let told: Value = serde_json::from_str(&survived.render(true)).expect("one object");
        assert_eq!(told["mutants_survived"], json!(1));
    }

    #[test]
    fn an_unbroken_core_that_fails_fails_the_run() {
        let outcome = Outcome {
            unbroken: vec![judged(&Value::Null, 1, CAUGHT)],
            mutants: vec![judged(&mutant(), 1, CAUGHT)],
            seeds: "1..2001".to_owned(),
        };
        assert!(!outcome.is_good());
    }

    #[test]
    fn a_run_without_end_is_killed_and_said_to_be_broken() {
        let mut command = Command::new("cat");
        let ended = finish(command.stdin(Stdio::piped()), Duration::from_millis(10));
        let ended = ended.expect("cat is everywhere");
        assert_eq!(ended.code, None);
        let run = Run::judge(&mutant(), ended.code, &ended.stdout, &ended.stderr);
        assert_eq!(run.verdict, Verdict::Broken);
        assert!(run.detail.contains("no end within"), "{}", run.detail);
    }

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        let refused = Settings::parse(&["--sedes", "1..2"]).expect_err("a typing error");
        assert!(refused.contains("--sedes"));
    }
}
