//! The configuration file of `serve`: TOML with a key for each flag.
//!
//! A key is a flag's name without the dashes, so there is no second list of
//! settings: keys are looked up on the command line's own model, and what a
//! file says becomes the default of that flag. So flags win over variables,
//! those over the file, that over the built-in default, and a value is read
//! the same wherever it stands.
//!
//! Invariant: nothing in a file is ignored. An unknown key or a value that
//! does not parse is refused with its line, and all of them at once.
//!
//! Not here: values that parse and cannot stand together (`config.rs`).

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use toml::de::{DeTable, DeValue};

use crate::cli::serve::ServeArgs;
use crate::cli::{self, Cli};
use crate::config::Config;
use crate::process::failure::Failure;
use crate::process::print;

/// A file of every key with long comments is below a tenth of it.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// A name this much alike was meant.
const LIKENESS_MIN: f64 = 0.7;
/// The subcommand whose flags the keys are.
const SERVE: &str = "serve";
/// Where a file cannot point to another one.
const CONFIG: &str = "config";
/// May be a table of id and address.
const INITIAL_MEMBERS: &str = "initial-members";

/// Settings of a file that each parse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    /// Key and value, as on the command line.
    settings: Vec<(String, String)>,
}

/// The command line, with the configuration file it names beneath.
///
/// # Errors
/// The file cannot be read, or something in it cannot stand. What of the
/// command line itself does not parse ends the process here, as usage does.
pub(crate) fn parse_command_line() -> Result<cli::Command, Failure> {
    let matches = Cli::command().get_matches();
    let file = matches
        .subcommand_matches(SERVE)
        .and_then(|serve| serve.get_one::<std::path::PathBuf>(CONFIG));
    let matches = match file {
        None => matches,
        Some(path) => ConfigFile::read(path)?.beneath(Cli::command()).get_matches(),
    };
    // The matches are of this very type's command.
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command)
}

/// `raftlet config check`.
///
/// # Errors
/// What cannot stand; each problem has been told in a line of its own.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let file = ConfigFile::read(path)?;
    let place = path.display();
    Config::from_args(file.args()?).map_err(|failure| Failure {
        message: format!("{place}: {}", failure.message),
        ..failure
    })?;
    print::result(&format!("{place} is good: {} settings", file.settings.len()));
    Ok(())
}

impl ConfigFile {
    /// # Errors
    /// Why it cannot be read; or all that is wrong in it.
    fn read(path: &Path) -> Result<Self, Failure> {
        let place = path.display();
        let refuse = |why: String| {
            Failure::config(format!("cannot read the configuration file {place}: {why}"))
        };
        let mut text = String::new();
        let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|error| refuse(error.to_string()))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(refuse("it is above 64 KiB; is it the right file?".to_owned()));
        }
        Self::parse(&text).map_err(|problems| {
            let problems: Vec<String> = problems
                .into_iter()
                .map(|(line, what)| format!("{place}:{line}: {what}"))
                .collect();
            Failure::config(problems.join("; "))
        })
    }

    /// # Errors
    /// Lines, from 1, and what is wrong there.
    fn parse(text: &str) -> Result<Self, Vec<(usize, String)>> {
        let line = |span: Range<usize>| line_of(text, span.start);
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(1, line);
            vec![(at, error.message().to_owned())]
        })?;
        let mut file = Self::default();
        let mut problems = Vec::new();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            match setting(name, value.get_ref()) {
                Ok(value) => file.settings.push((name.to_owned(), value)),
                Err(problem) => problems.push((line(key.span()), problem)),
            }
        }
        if problems.is_empty() { Ok(file) } else { Err(problems) }
    }

    /// The command line, with what this file says as defaults of `serve`.
    fn beneath(&self, command: Command) -> Command {
        command.mut_subcommand(SERVE, |serve| {
            self.settings.iter().fold(serve, |serve, (key, value)| {
                serve.mut_arg(id_of(key), |arg| arg.default_value(value.clone()))
            })
        })
    }

    /// What `serve` would be started with by this file alone.
    ///
    /// # Errors
    /// What together does not parse.
    fn args(&self) -> Result<ServeArgs, Failure> {
        parse_serve(self.beneath(without_environment()), &[])
            .map_err(|error| Failure::config(first_line(&error)))
    }
}

/// A key's value as the command line would have it.
///
/// # Errors
/// What is wrong with key or value.
fn setting(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    let command = without_environment();
    let Some(arg) = known(&command).find(|arg| arg.get_long() == Some(key)) else {
        return Err(unknown(key, &command));
    };
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let text = match value {
        DeValue::Boolean(value) if is_switch => return Ok(value.to_string()),
        _ if is_switch => Err("true or false"),
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "a smaller number"),
        DeValue::Table(table) if key == INITIAL_MEMBERS => members(table),
        _ => Err("a text or a whole number"),
    };
    let text = text.map_err(|wanted| format!("'{key}' wants {wanted}"))?;
    match parse_serve(without_environment(), &[format!("--{key}={text}")]) {
        Ok(_) => Ok(text),
        Err(error) => Err(first_line(&error)),
    }
}

/// `1 = "host:port"` lines, as `--initial-members` has them.
fn members(table: &DeTable<'_>) -> Result<String, &'static str> {
    let parts: Option<Vec<String>> = table
        .iter()
        .map(|(id, address)| {
            let address = address.get_ref().as_str()?;
            Some(format!("{}={address}", id.get_ref()))
        })
        .collect();
    parts.map(|parts| parts.join(",")).ok_or("an address, as a text, for each id")
}

fn unknown(key: &str, command: &Command) -> String {
    // Other programs write keys with underscores.
    let dashed = key.replace('_', "-");
    let likeness = |name: &str| strsim::jaro_winkler(&dashed, name);
    let nearest = known(command)
        .filter_map(Arg::get_long)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|name| likeness(name) >= LIKENESS_MIN);
    match nearest {
        Some(name) => format!("there is no key '{key}'; is '{name}' meant?"),
        None => format!("there is no key '{key}'; keys are the flags of raftlet serve --help"),
    }
}

/// The flags that are keys.
fn known(command: &Command) -> impl Iterator<Item = &Arg> {
    let serve = command.find_subcommand(SERVE).into_iter().flat_map(Command::get_arguments);
    serve.filter(|arg| !arg.is_hide_set() && arg.get_id() != CONFIG && arg.get_long().is_some())
}

/// Clap names an argument by its field, which is the flag with underscores.
fn id_of(key: &str) -> String {
    key.replace('-', "_")
}

fn without_environment() -> Command {
    Cli::command().mut_subcommand(SERVE, |serve| serve.mut_args(|arg| arg.env(None::<&str>)))
}

fn parse_serve(command: Command, flags: &[String]) -> Result<ServeArgs, clap::Error> {
    let line = ["raftlet", SERVE].into_iter().map(str::to_owned).chain(flags.iter().cloned());
    let matches = command.try_get_matches_from(line)?;
    match Cli::from_arg_matches(&matches)?.command {
        cli::Command::Serve(args) => Ok(*args),
        _ => unreachable!("the command line says serve"),
    }
}

/// Of clap's explanation, what is wrong.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::{Config, ConfigFile, known, without_environment};
    use crate::cli::serve::ServeArgs;
    use crate::cli::{Cli, Command};

    fn problems(text: &str) -> Vec<(usize, String)> {
        ConfigFile::parse(text).unwrap_err()
    }

    fn serve(text: &str, flags: &[&str]) -> ServeArgs {
        let command = ConfigFile::parse(text).unwrap().beneath(Cli::command());
        let line = ["raftlet", "serve"].iter().chain(flags);
        let matches = command.try_get_matches_from(line).unwrap();
        match Cli::from_arg_matches(&matches).unwrap().command {
            Command::Serve(args) => *args,
            other => unreachable!("parsed {other:?}"),
        }
    }

    #[test]
    fn a_file_is_beneath_the_flags_and_above_the_defaults() {
        let text = "node-id = 7\nclient-addr = '127.0.0.1:1'\ninsecure-bind = true\n\
                    clients-max = 0x10\n\n[initial-members]\n7 = 'h:1'\n8 = 'h:2'\n";
        let args = serve(text, &["--client-addr", "127.0.0.1:2"]);
        assert_eq!(args.node_id, 7);
        assert_eq!(args.client_addr, "127.0.0.1:2");
        assert_eq!(args.admin_addr, "127.0.0.1:7381");
        assert_eq!(args.initial_members.as_deref(), Some("7=h:1,8=h:2"));
        assert!(args.insecure_bind);
        assert_eq!(args.limits.clients_max, 16);
    }

    #[test]
    fn every_flag_has_a_key_that_takes_its_default() {
        let command = without_environment();
        let mut count = 0;
        for arg in known(&command) {
            count += 1;
            let name = arg.get_long().unwrap();
            let default = arg.get_default_values().first().and_then(|value| value.to_str());
            let value = match default {
                Some(value) if value.parse::<u64>().is_ok() || value == "false" => value.to_owned(),
                Some(value) => format!("'{value}'"),
                None if arg.get_action().takes_values() => "'127.0.0.1:1'".to_owned(),
                None => "false".to_owned(),
            };
            ConfigFile::parse(&format!("{name} = {value}")).unwrap();
        }
        assert!(count > 15, "only {count} keys were found");
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_line_and_the_nearest_name() {
        let found = problems("# a comment\ncleint-addr = 'x'\n\nclients_max = 1\nzzz = 1\n");
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(lines.len(), 3, "{texts:?}");
        assert!(lines.contains(&2) && lines.contains(&4) && lines.contains(&5), "{lines:?}");
        assert!(texts.iter().any(|text| text.contains("'client-addr'")), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("'clients-max'")), "{texts:?}");
    }

    #[test]
    fn a_value_that_does_not_parse_is_refused_with_its_line() {
        for (text, line) in [
            ("\nclients-max = 0", 2),
            ("clients-max = 'many'", 1),
            ("clients-max = 1.5", 1),
            ("node-id = 99999999999999999999999999", 1),
            ("insecure-bind = 'yes'", 1),
            ("log-format = 'xml'", 1),
            ("[node-id]\nx = 1", 1),
            ("config = 'other.toml'", 1),
            ("exit-with-stdin = true", 1),
            ("node-id = 1\nnode-id = 2", 2),
            ("node-id = ", 1),
        ] {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].0, line, "{text}: {found:?}");
        }
    }

    #[test]
    fn the_example_that_operators_are_shown_is_good() {
        let shown = include_str!("../../../../docs/operations.md");
        let (_, rest) = shown.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let file = ConfigFile::parse(example).unwrap();
        Config::from_args(file.args().unwrap()).unwrap();
    }
}
