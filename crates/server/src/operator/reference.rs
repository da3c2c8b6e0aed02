//! `raftlet completions` and `raftlet man`, made from the command line's own
//! model: neither can differ from what the program takes.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::process::failure::Failure;
use crate::process::print;

/// What a shell needs to complete our command line.
pub(crate) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "raftlet", &mut script);
    print::result(String::from_utf8_lossy(&script).trim_end());
}

/// The manual's pages: of one command, or of the program and all its commands.
///
/// # Errors
/// There is no such command.
pub(crate) fn man(wanted: Option<&str>) -> Result<(), Failure> {
    let pages = pages(wanted).map_err(|error| {
        Failure::runtime(format!("the manual cannot be made: {error}; please report it"))
    })?;
    match pages {
        Some(pages) => {
            print::result(pages.trim_end());
            Ok(())
        }
        None => Err(Failure::config(format!(
            "there is no command '{}'; raftlet --help lists them",
            wanted.unwrap_or_default()
        ))),
    }
}

fn pages(wanted: Option<&str>) -> std::io::Result<Option<String>> {
    let mut root = Cli::command();
    // Gives subcommands their full names.
    root.build();
    let mut text = Vec::new();
    match wanted {
        None => put_pages(&root, &mut text)?,
        Some(name) => {
            if let Some(command) = root.find_subcommand(name) {
                put_pages(command, &mut text)?;
            }
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((!text.is_empty()).then_some(text))
}

/// The page of a command, then those of its own commands.
fn put_pages(command: &Command, into: &mut Vec<u8>) -> std::io::Result<()> {
    Man::new(command.clone()).render(into)?;
    for inner in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        put_pages(inner, into)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pages;

    #[test]
    fn the_manual_has_every_flag_of_a_command_and_knows_no_others() {
        let serve = pages(Some("serve")).unwrap().unwrap();
        assert!(serve.contains("initial\\-members"), "{serve}");
        assert!(serve.contains("raftlet\\-serve") || serve.contains("raftlet serve"), "{serve}");
        assert!(!serve.contains("exit\\-with\\-stdin"), "{serve}");
        let all = pages(None).unwrap().unwrap();
        assert!(all.contains(&serve));
        assert!(all.contains("raftlet\\-config\\-check"));
        assert_eq!(pages(Some("serv")).unwrap(), None);
    }
}
