//! Who may be a client, and what one client may make the node hold.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::clients::ClientArgs;
use crate::process::failure::Failure;
use raftlet_kv::{Limits, Password};

/// A password of a person or a program; a key file is no password.
const PASSWORD_BYTES_MAX: usize = 512;

/// How clients are let in and limited.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// `None`: whoever connects is served.
    pub(crate) password: Option<Arc<Password>>,
    /// How long a client may take to show it.
    pub(crate) auth_timeout: Duration,
    /// Bytes of keys and values; 0: no limit.
    pub(crate) memory_bytes_max: u64,
    pub(crate) limits: Limits,
}

impl Access {
    /// # Errors
    /// What cannot stand, by the name of its flag.
    pub(crate) fn from_args(args: &ClientArgs) -> Result<Self, Failure> {
        let password = match (&args.requirepass, &args.requirepass_file) {
            (Some(text), _) => Some(password("--requirepass", text)?),
            (None, Some(path)) => Some(password_of(path)?),
            (None, None) => None,
        };
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let len = |len: u32| usize::try_from(len).unwrap_or(usize::MAX);
        let request_bytes_max = bytes(args.client_request_bytes_max);
        let limits = Limits {
            request_bytes_max,
            args_len_max: len(args.client_args_max),
            bulk_bytes_max: request_bytes_max,
            inline_bytes_max: bytes(args.client_inline_bytes_max),
            pipeline_len_max: len(args.client_pipeline_max),
            pipeline_bytes_max: bytes(args.client_pipeline_bytes_max),
            transaction_len_max: len(args.client_transaction_max),
            transaction_bytes_max: bytes(args.client_transaction_bytes_max),
            reply_bytes_max: bytes(args.client_reply_bytes_max),
            output_bytes_max: bytes(args.client_output_bytes_max),
        };
        let least = [
            ("--client-request-bytes-max", limits.request_bytes_max),
            ("--client-inline-bytes-max", limits.inline_bytes_max),
            ("--client-pipeline-bytes-max", limits.pipeline_bytes_max),
            ("--client-transaction-bytes-max", limits.transaction_bytes_max),
            ("--client-reply-bytes-max", limits.reply_bytes_max),
            ("--client-output-bytes-max", limits.output_bytes_max),
        ];
        match least.into_iter().find(|(_, bytes)| *bytes < LIMIT_BYTES_MIN) {
            None => Ok(Self {
                password: password.map(Arc::new),
                auth_timeout: Duration::from_millis(args.auth_timeout_ms),
                memory_bytes_max: args.maxmemory,
                limits,
            }),
            Some((flag, bytes)) => Err(Failure::config(format!(
                "{flag} {bytes} leaves no room for a handshake; say {LIMIT_BYTES_MIN} or more"
            ))),
        }
    }
}

/// The longest handshakes of known clients take a tenth of it.
const LIMIT_BYTES_MIN: usize = 1_024;

fn password(flag: &str, text: &str) -> Result<Password, Failure> {
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(Failure::config(format!(
            "{flag} holds {} bytes, a password has at most {PASSWORD_BYTES_MAX}; choose a shorter one",
            text.len()
        )));
    }
    Password::new(text.as_bytes()).ok_or_else(|| {
        Failure::config(format!(
            "{flag} holds no password; write one, or leave the flag out to serve whoever connects"
        ))
    })
}

/// The first line of a file.
fn password_of(path: &Path) -> Result<Password, Failure> {
    let refuse = |why: &dyn std::fmt::Display| {
        Failure::config(format!(
            "--requirepass-file {} cannot be read: {why}; put the password on its first line",
            path.display()
        ))
    };
    let mut text = String::new();
    let bytes_max = u64::try_from(PASSWORD_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    File::open(path)
        .and_then(|file| file.take(bytes_max).read_to_string(&mut text))
        .map_err(|error| refuse(&error))?;
    password("--requirepass-file", text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Access;
    use crate::cli::{Cli, Command};
    use crate::process::failure::Failure;

    fn access(flags: &[&str]) -> Result<Access, Failure> {
        let args = ["raftlet", "serve"].iter().chain(flags);
        match Cli::try_parse_from(args).unwrap().command {
            Command::Serve(args) => Access::from_args(&args.clients),
            other => unreachable!("parsed {other:?}"),
        }
    }

    #[test]
    fn a_password_comes_from_the_flag_or_the_first_line_of_a_file() {
        assert!(access(&[]).unwrap().password.is_none());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "sesame\nnot this\n").unwrap();
        let of_file = access(&["--requirepass-file", path.to_str().unwrap()]).unwrap();
        let of_flag = access(&["--requirepass", "sesame"]).unwrap();
        assert!(of_file.password.is_some() && of_file.password == of_flag.password);
        assert!(!format!("{of_flag:?}").contains("sesame"));
    }

    #[test]
    fn a_password_or_limit_that_cannot_stand_is_refused_by_its_flag() {
        let refused = |flags: &[&str]| access(flags).unwrap_err().message;
        assert!(refused(&["--requirepass", ""]).contains("--requirepass holds no password"));
        assert!(refused(&["--requirepass-file", "/nowhere"]).contains("/nowhere cannot be read"));
        let long = "x".repeat(600);
        assert!(refused(&["--requirepass", &long]).contains("600 bytes"));
        let small = refused(&["--client-output-bytes-max", "1k"]);
        assert!(small.contains("--client-output-bytes-max 1000"), "{small}");
    }

    #[test]
    fn bytes_are_read_with_the_units_of_redis() {
        for (text, bytes) in [("0", 0), ("100mb", 100 << 20), ("1k", 1_000), ("2GB", 2 << 30)] {
            assert_eq!(access(&["--maxmemory", text]).unwrap().memory_bytes_max, bytes);
        }
        let args = ["raftlet", "serve", "--maxmemory", "1 apple"];
        assert!(Cli::try_parse_from(args).is_err());
    }
}
