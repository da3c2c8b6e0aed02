//! The command `raftlet-sim`: runs seeds and reports.
//!
//! ```text
//! raftlet-sim core --seeds A..B [--jobs N] [--steps N] [--json] [--mutant ID]
//! raftlet-sim core --trace SEED [--steps N] [--mutant ID]
//! raftlet-sim core --list-mutants [--json]
//! ```
//!
//! Exit code 0: no violation; 1: a violation; 2: the command line is wrong.
//! Progress goes to standard error; standard output carries the result alone,
//! with `--json` as one object on its last line.

mod arguments;
mod batch;
mod report;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::arguments::{Arguments, Task};
use crate::batch::Batch;
use raftlet::core::mutants;
use raftlet_sim::core_tier::{self, Limits};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match Arguments::parse(&words).and_then(|arguments| act(&arguments)) {
        Ok(code) => code,
        Err(message) => {
            // Nobody is left to tell when even this fails.
            let _ = writeln!(io::stderr(), "raftlet-sim: {message}\n{}", arguments::USAGE);
            ExitCode::from(2)
        }
    }
}

fn act(arguments: &Arguments) -> Result<ExitCode, String> {
    if let Some(id) = &arguments.mutant {
        mutants::activate(id).map_err(|error| error.to_string())?;
    }
    // Panics of a core are violations like others; what they say is reported.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = io::stdout().lock();
    let (text, found) = match &arguments.task {
        Task::ListMutants => (report::mutants(arguments.json), false),
        Task::Trace(seed) => {
            let limits = Limits { steps: arguments.steps, tells: true };
            let outcome = core_tier::run(*seed, limits);
            (report::story(&outcome), outcome.violation.is_some())
        }
        Task::Seeds(seeds) => {
            let batch = Batch::run(arguments, seeds.clone());
            let found = !batch.failures.is_empty();
            (report::batch(&batch, arguments.json), found)
        }
    };
    writeln!(out, "{text}").map_err(|error| format!("cannot write the result: {error}"))?;
    Ok(ExitCode::from(u8::from(found)))
}
