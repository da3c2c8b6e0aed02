//! The command line.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use raftlet_sim::core_tier::Limits;

/// Shown with every complaint.
pub(crate) const USAGE: &str = "\
usage: raftlet-sim core --seeds A..B [--jobs N] [--steps N] [--json] [--mutant ID]
       raftlet-sim core --trace SEED [--steps N] [--mutant ID]
       raftlet-sim core --list-mutants [--json]";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Seeds(Range<u64>),
    Trace(u64),
    ListMutants,
}

/// A whole command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) jobs: usize,
    pub(crate) steps: u64,
    pub(crate) json: bool,
    pub(crate) mutant: Option<String>,
}

impl Arguments {
    /// # Errors
    /// Says which word is wrong, and what would do.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut words = words.iter().map(String::as_str);
        match words.next() {
            Some("core") => {}
            Some(other) => return Err(format!("no tier `{other}`; there is `core`")),
            None => return Err("name a tier: `core`".to_owned()),
        }
        let mut task = None;
        let (mut jobs, mut steps) = (None, Limits::default().steps);
        let (mut json, mut mutant) = (false, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
            match word {
                "--seeds" => task = Some(Task::Seeds(seeds(value()?)?)),
                "--trace" => task = Some(Task::Trace(number(value()?)?)),
                "--list-mutants" => task = Some(Task::ListMutants),
                "--jobs" => jobs = Some(number(value()?)?),
                "--steps" => steps = number(value()?)?,
                "--json" => json = true,
                "--mutant" => mutant = Some(value()?.to_owned()),
                other => return Err(format!("no option `{other}`")),
            }
        }
        let jobs = match jobs {
            Some(0) => return Err("`--jobs` must be at least 1".to_owned()),
            Some(jobs) => usize::try_from(jobs).map_err(|_| "too many jobs".to_owned())?,
            // A mutant's steps to its end mean something only in order.
            None if mutant.is_some() => 1,
            None => thread::available_parallelism().map_or(1, NonZero::get),
        };
        let task = task.ok_or("say what to do: `--seeds`, `--trace` or `--list-mutants`")?;
        Ok(Self { task, jobs, steps, json, mutant })
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("`{text}` is no range of seeds; write `1..1001` (the end excluded)");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let (first, end) = (number(first).map_err(|_| wrong())?, number(end).map_err(|_| wrong())?);
    if first < end { Ok(first..end) } else { Err(wrong()) }
}

/// A number in decimal, or in hexadecimal with `0x`; underscores are skipped.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Task};

    fn parse(line: &str) -> Result<Arguments, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn seeds_are_a_range_with_its_end_excluded() {
        let arguments = parse("core --seeds 0x10..1_000 --jobs 3 --json").unwrap();
        assert_eq!(arguments.task, Task::Seeds(16..1000));
        assert_eq!((arguments.jobs, arguments.json), (3, true));
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, named) in [
            ("", "tier"),
            ("disk --seeds 1..2", "disk"),
            ("core", "--seeds"),
            ("core --seeds 5..5", "5..5"),
            ("core --seeds 5", "`5`"),
            ("core --jobs 0 --seeds 1..2", "--jobs"),
            ("core --fast", "--fast"),
            ("core --trace", "--trace"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn mutants_run_on_one_thread_unless_told_otherwise() {
        assert_eq!(parse("core --seeds 1..2 --mutant M05").unwrap().jobs, 1);
    }
}
