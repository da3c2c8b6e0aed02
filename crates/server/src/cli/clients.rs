//! What clients must show, and what one of them may make a node hold.

use std::path::PathBuf;

use clap::Args;

/// Clients of a node: who they are, and their limits (rule 34).
#[derive(Args, Clone, Debug)]
pub(crate) struct ClientArgs {
    /// What clients must say to be served, by AUTH or HELLO. Others on this
    /// machine can read a command line: prefer the variable or the file.
    #[arg(
        long,
        env = "RAFTLET_REQUIREPASS",
        hide_env_values = true,
        value_name = "PASSWORD",
        conflicts_with = "requirepass_file"
    )]
    pub(crate) requirepass: Option<String>,
    /// A file whose first line is that password.
    #[arg(long, env = "RAFTLET_REQUIREPASS_FILE", value_name = "FILE")]
    pub(crate) requirepass_file: Option<PathBuf>,
    /// Memory for keys and values, such as 512mb; above, writes that grow are
    /// refused with OOM. 0 sets no limit.
    #[arg(long, env = "RAFTLET_MAXMEMORY", default_value = "0", value_name = "BYTES",
          value_parser = parse_bytes)]
    pub(crate) maxmemory: u64,
    /// How long a client may take to show the password.
    #[arg(long, env = "RAFTLET_AUTH_TIMEOUT_MS", default_value_t = 10_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) auth_timeout_ms: u64,
    /// Bytes of one request, up to what an entry of the log takes.
    #[arg(long, env = "RAFTLET_CLIENT_REQUEST_BYTES_MAX", default_value = "8mb",
          value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) client_request_bytes_max: u64,
    /// Arguments of one request.
    #[arg(long, env = "RAFTLET_CLIENT_ARGS_MAX", default_value_t = 1_048_576, value_name = "N",
          value_parser = clap::value_parser!(u32).range(16..=16_777_216))]
    pub(crate) client_args_max: u32,
    /// Bytes of a request in one line.
    #[arg(long, env = "RAFTLET_CLIENT_INLINE_BYTES_MAX", default_value = "64kb",
          value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) client_inline_bytes_max: u64,
    /// Requests of one client without an answer; then no more is read.
    #[arg(long, env = "RAFTLET_CLIENT_PIPELINE_MAX", default_value_t = 1_024, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) client_pipeline_max: u32,
    /// Bytes of those requests; then no more is read.
    #[arg(long, env = "RAFTLET_CLIENT_PIPELINE_BYTES_MAX", default_value = "16mb",
          value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) client_pipeline_bytes_max: u64,
    /// Commands between MULTI and EXEC; one more aborts the transaction.
    #[arg(long, env = "RAFTLET_CLIENT_TRANSACTION_MAX", default_value_t = 262_144,
          value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) client_transaction_max: u32,
    /// Bytes of those commands; more abort the transaction.
    #[arg(long, env = "RAFTLET_CLIENT_TRANSACTION_BYTES_MAX", default_value = "32mb",
          value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) client_transaction_bytes_max: u64,
    /// Bytes of values in one reply; a larger one becomes an error.
    #[arg(long, env = "RAFTLET_CLIENT_REPLY_BYTES_MAX", default_value = "64mb",
          value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) client_reply_bytes_max: u64,
    /// Bytes of replies that a client has not fetched; then no more is done
    /// for it.
    #[arg(long, env = "RAFTLET_CLIENT_OUTPUT_BYTES_MAX", default_value = "1mb",
          value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) client_output_bytes_max: u64,
}

/// A number of bytes with Redis's units: `k` and its like are powers of 1000,
/// `kb` and its like of 1024.
fn parse_bytes(text: &str) -> Result<u64, String> {
    raftlet_kv::parse_memory(text.as_bytes())
        .ok_or_else(|| "write a number of bytes, such as 1048576, 1024kb or 1mb".to_owned())
}
