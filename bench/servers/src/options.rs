//! What all tables may be told.

use std::path::PathBuf;

use clap::Args;

/// Our server, where a build of the product puts it, seen from `bench/`.
pub const OURS: &str = "../target/release/raftlet";

/// Where programs and data are.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Our server, from `cargo build --release` of the product; built if it is
    /// missing there.
    #[arg(long, env = "RAFTLET_BIN", default_value = OURS)]
    pub raftlet: PathBuf,
    /// etcd's server.
    #[arg(long, env = "ETCD_BIN", default_value = "etcd")]
    pub etcd: PathBuf,
    /// Redis' server.
    #[arg(long, env = "REDIS_BIN", default_value = "redis-server")]
    pub redis: PathBuf,
    /// Directory on the disk to be measured; each run takes a directory of its
    /// own in it and removes it.
    #[arg(long, default_value = ".")]
    pub data_dir: PathBuf,
    /// Where the plot goes; beside this program if not said.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}
