//! A package's tests, to be failed by mutants that no simulation would notice:
//! those of the driver, and those that cost time and not safety.
//!
//! One build with `--cfg mutants` serves all; which mutant a test binary has is
//! said by `RAFTLET_MUTANT` in its environment. A mutant is caught when a test
//! fails. Anything else than tests that ran to their end is no verdict.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{RUN_MAX, Run, Verdict, finish, text};

/// The test binaries of one package.
#[derive(Debug)]
pub(super) struct TestsOf {
    pub(super) package: String,
    binaries: Vec<PathBuf>,
}

impl TestsOf {
    /// # Errors
    /// When they cannot be built.
    #[expect(clippy::disallowed_methods, reason = "a build takes what it takes")]
    pub(super) fn build(root: &Path, package: &str) -> Result<Self, Box<dyn Error>> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["test", "--no-run", "--quiet", "--profile", "sim", "--lib", "--tests"])
            .args(["--message-format", "json", "-p", package])
            .env("RUSTFLAGS", "--cfg mutants")
            .env("CARGO_TARGET_DIR", root.join("target/mutants"))
            .current_dir(root)
            .output()?;
        if !output.status.success() {
            return Err(format!("the tests of {package} do not build with --cfg mutants").into());
        }
        let binaries = executables(&String::from_utf8_lossy(&output.stdout));
        if binaries.is_empty() {
            return Err(format!("{package} has no tests").into());
        }
        Ok(Self { package: package.to_owned(), binaries })
    }

    /// Runs them under `mutant`, or unbroken for `null`, until a binary fails.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(super) fn run(&self, mutant: &Value) -> Result<Run, Box<dyn Error>> {
        let is_unbroken = mutant.is_null();
        let mut run = Run {
            id: if is_unbroken { "-".to_owned() } else { text(mutant, "id") },
            name: text(mutant, "name"),
            verdict: Verdict::Passed,
            invariant: text(mutant, "invariant"),
            claim: String::new(),
            seeds: 0,
            steps: 0,
            detail: String::new(),
        };
        if is_unbroken {
            run.name = format!("unbroken, the tests of {}", self.package);
        }
        for binary in &self.binaries {
            let mut command = Command::new(binary);
            if !is_unbroken {
                command.env("RAFTLET_MUTANT", text(mutant, "id"));
            }
            let ended = finish(&mut command, RUN_MAX)?;
            let told = Told::of(&ended.stdout);
            run.steps += told.ran;
            run.seeds += told.failed;
            run.claim = told.first_failed;
            run.verdict = match ended.code {
                Some(0) if told.is_whole => Verdict::Passed,
                Some(_) if told.is_whole && told.failed > 0 => Verdict::Caught,
                code => {
                    let reason = ended.stderr.lines().last().unwrap_or("said nothing");
                    run.detail = format!("{} ended with {code:?}: {reason}", binary.display());
                    Verdict::Broken
                }
            };
            if run.verdict != Verdict::Passed {
                break;
            }
        }
        Ok(run)
    }
}

/// Where cargo says that test binaries lie.
fn executables(messages: &str) -> Vec<PathBuf> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_test = |message: &Value| message.pointer("/profile/test") == Some(&Value::Bool(true));
    let built = parsed.filter(is_test);
    built.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).collect()
}

/// What a test binary said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    ran: u64,
    failed: u64,
    first_failed: String,
    /// It came to its last line.
    is_whole: bool,
}

impl Told {
    fn of(stdout: &str) -> Self {
        let mut told = Self::default();
        for line in stdout.lines() {
            let Some(rest) = line.strip_prefix("test ") else {
                continue;
            };
            if let Some((name, outcome)) = rest.rsplit_once(" ... ") {
                told.ran += 1;
                if outcome == "FAILED" {
                    told.failed += 1;
                    if told.first_failed.is_empty() {
                        name.clone_into(&mut told.first_failed);
                    }
                }
            }
            told.is_whole |= rest.starts_with("result: ");
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::{Told, executables};

    #[test]
    fn failed_tests_are_counted_and_the_first_is_named() {
        let told = Told::of(
            "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... FAILED\n\ntest result: FAILED. 1 passed; 2 failed\n",
        );
        assert_eq!((told.ran, told.failed, told.first_failed.as_str()), (3, 2, "c"));
        assert!(told.is_whole);
    }

    #[test]
    fn a_binary_that_dies_in_the_middle_has_said_nothing() {
        assert!(!Told::of("test a ... FAILED\ntest b ... ").is_whole);
    }

    #[test]
    fn only_test_binaries_are_run() {
        let messages = "{\"profile\":{\"test\":true},\"executable\":\"/t/a\"}\n\
                        {\"profile\":{\"test\":false},\"executable\":\"/t/b\"}\nnoise\n";
        assert_eq!(executables(messages), [std::path::PathBuf::from("/t/a")]);
    }
}
