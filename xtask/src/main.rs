//! The house's own checks, as one program: `cargo xtask <command>`.
//!
//! - `tidy` holds what no compiler holds: arrows between crates, module
//!   cycles, sizes, bans, citations, paths in documents, format hashes.
//! - `sections` lists which sections of the dissertation code and tests cite.
//! - `mutants` breaks the core on purpose, once per mutant, and demands that
//!   the simulator notices each time.
//! - `ci` runs `.ci/run`, the whole gate.
//!
//! Depends on nothing of ours: it judges the tree from outside. This file
//! alone writes to the terminal; the commands return what is to be said.

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

mod mutants;
mod rust;
mod sections;
mod tidy;
mod tree;
mod workspace;

const USAGE: &str = "\
usage: cargo xtask <command>
  tidy [DIR]                       check this checkout, or DIR, for the house's rules
  sections                         dissertation sections cited by code and tests
  mutants [--json] [--seeds A..B] [--only ID]
                                   every broken core must be caught
  ci [quick]                       the whole gate, as .ci/run
";

/// What a command wants printed, and whether all was well.
struct Report {
    text: String,
    is_good: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(report) => {
            // A closed pipe (`| head`) is the reader's decision, not a failure.
            let _ = io::stdout().write_all(report.text.as_bytes());
            if report.is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "xtask: {}", chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the gate bounds its steps itself")]
fn run(arguments: &[String]) -> Result<Report, Box<dyn Error>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy", rest @ ..] if rest.len() <= 1 => {
            let checkout = rest.first().map_or_else(root, PathBuf::from);
            let outcome = tidy::check(&checkout)?;
            Ok(Report { is_good: outcome.findings.is_empty(), text: outcome.to_string() })
        }
        ["sections"] => Ok(Report { text: sections::report(&root())?, is_good: true }),
        ["mutants", rest @ ..] => {
            let settings = mutants::Settings::parse(rest)?;
            let mut progress = |line: &str| {
                let _ = writeln!(io::stderr(), "{line}");
            };
            let outcome = mutants::run(&root(), &settings, &mut progress)?;
            Ok(Report { is_good: outcome.is_good(), text: outcome.render(settings.json) })
        }
        ["ci", rest @ ..] => {
            let gate =
                Command::new("bash").arg(".ci/run").args(rest).current_dir(root()).status()?;
            let is_good = gate.success();
            Ok(Report { text: String::new(), is_good })
        }
        [] | ["help" | "--help" | "-h"] => {
            Ok(Report { text: USAGE.to_owned(), is_good: !words.is_empty() })
        }
        [unknown, ..] => Err(format!("no command `{unknown}`\n{USAGE}").into()),
    }
}

/// The repository this binary was built from.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
