//! A host for each node: network namespaces on one bridge, between which any
//! direction of any link can be cut; and a disk that can be made to hang.
//!
//! Needs root, `ip`, `nft`, `losetup` and `fsfreeze`. Where they are missing
//! [`Hosts::new`] says what is, and tests cut links by proxies instead
//! (`proxies.rs`); a test that needs the disk says so and ends.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::waiting::Run;

/// Nets to choose from, of which each [`Hosts`] has one.
const NETS: u32 = 200;

/// Runs a program to its end.
fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).try_run();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", args.join(" "), said.trim()))
}

/// Links between nodes that can be cut, in each direction by itself.
pub(crate) trait Links {
    /// What `from` sends no longer reaches `to`.
    fn cut(&self, from: usize, to: usize);

    /// All links work again.
    fn heal(&self);

    fn cut_both(&self, one: usize, other: usize) {
        self.cut(one, other);
        self.cut(other, one);
    }
}

/// Hosts on a bridge; the test itself is on it too, and reaches all of them.
pub(crate) struct Hosts {
    /// Names are this process's own.
    prefix: String,
    /// The third number of the addresses, likewise.
    net: u8,
    len: usize,
}

impl Hosts {
    /// Makes hosts with addresses of their own.
    ///
    /// # Errors
    /// What this machine does not allow; nothing is left behind.
    pub(crate) fn new(len: usize) -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id() % 10_000;
        let addresses = run("ip", &["-4", "-o", "addr", "show"])?;
        let net = free_net(&addresses, process.wrapping_mul(7) + number)
            .ok_or("all nets of 10.213.0.0/16 are in use")?;
        let hosts = Self { prefix: format!("rl{process}x{number}"), net, len };
        // Dropped on the way out, it takes away what was made so far.
        hosts.make()?;
        Ok(hosts)
    }

    fn make(&self) -> Result<(), String> {
        let bridge = self.bridge();
        run("ip", &["link", "add", &bridge, "type", "bridge"])?;
        run("ip", &["addr", "add", &format!("10.213.{}.254/24", self.net), "dev", &bridge])?;
        run("ip", &["link", "set", &bridge, "up"])?;
        for at in 0..self.len {
            let (name, port) = (self.name(at), self.port(at));
            run("ip", &["netns", "add", &name])?;
            let pair = ["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns"];
            run("ip", &[&pair[..], &[&name]].concat())?;
            run("ip", &["link", "set", &port, "master", &bridge, "up"])?;
            run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
            let address = format!("{}/24", self.ip(at));
            run("ip", &["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
            self.nft(at, "add table ip cuts")?;
            self.nft(at, "add chain ip cuts in { type filter hook input priority 0; }")?;
        }
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("{}br", self.prefix)
    }

    fn name(&self, at: usize) -> String {
        format!("{}n{at}", self.prefix)
    }

    /// The bridge's end of a host's link.
    fn port(&self, at: usize) -> String {
        format!("{}p{at}", self.prefix)
    }

    fn nft(&self, at: usize, rule: &str) -> Result<String, String> {
        run("ip", &["netns", "exec", &self.name(at), "nft", rule])
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn ip(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.net, u8::try_from(at + 1).unwrap())
    }

    /// The command, to be run on a host. Its process is the command's own.
    pub(crate) fn inside(&self, at: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name(at)]).arg(command.get_program());
        inside.args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

/// The first net from `start` on that no link of a machine with these addresses
/// has: of two links with one net the kernel asks one only, and the hosts behind the
/// other answer nobody. A test that was killed leaves its links behind.
fn free_net(addresses: &str, start: u32) -> Option<u8> {
    let mut nets = (0..NETS).map(|further| u8::try_from((start + further) % NETS).unwrap());
    nets.find(|net| !addresses.contains(&format!(" 10.213.{net}.")))
}

impl Links for Hosts {
    fn cut(&self, from: usize, to: usize) {
        let rule = format!("add rule ip cuts in ip saddr {} drop", self.ip(from));
        self.nft(to, &rule).unwrap();
    }

    fn heal(&self) {
        for at in 0..self.len {
            self.nft(at, "flush chain ip cuts in").unwrap();
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // Some may not have been made. A namespace outlives its name while the
        // kernel still closes connections in it, so links go one by one.
        for at in 0..self.len {
            let _ = run("ip", &["link", "del", &self.port(at)]);
            let _ = run("ip", &["netns", "del", &self.name(at)]);
        }
        let _ = run("ip", &["link", "del", &self.bridge()]);
    }
}

/// A file system of its own that stands still on demand: writes to it wait.
pub(crate) struct HangingDisk {
    mount: PathBuf,
    image: PathBuf,
    is_mounted: bool,
}

impl HangingDisk {
    /// Makes one under `dir`.
    ///
    /// # Errors
    /// What this machine does not allow; nothing is left behind.
    pub(crate) fn new(dir: &Path) -> Result<Self, String> {
        let (image, mount) = (dir.join("disk.img"), dir.join("disk"));
        std::fs::create_dir_all(&mount).map_err(|error| error.to_string())?;
        let mut disk = Self { mount, image, is_mounted: false };
        let (image, mount) = (path(&disk.image), path(&disk.mount));
        run("truncate", &["-s", "512M", &image])?;
        run("mkfs.ext4", &["-q", "-F", &image])?;
        run("mount", &["-o", "loop", &image, &mount])?;
        disk.is_mounted = true;
        Ok(disk)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.mount.join("data")
    }

    pub(crate) fn hang(&self) {
        run("fsfreeze", &["-f", &path(&self.mount)]).unwrap();
    }

    pub(crate) fn go_on(&self) {
        run("fsfreeze", &["-u", &path(&self.mount)]).unwrap();
    }
}

impl Drop for HangingDisk {
    fn drop(&mut self) {
        if self.is_mounted {
            // It fails where nothing hangs.
            let _ = run("fsfreeze", &["-u", &path(&self.mount)]);
            let _ = run("umount", &["-l", &path(&self.mount)]);
        }
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn hosts_take_no_net_that_a_killed_test_left_behind() {
    let left = "2: eth0    inet 10.0.0.2/24 scope global eth0\n\
                9: rl3060x3br    inet 10.213.23.254/24 scope global rl3060x3br\n";
    assert_eq!(free_net(left, 22), Some(22));
    assert_eq!(free_net(left, 8489 * 7), Some(24));
    assert_eq!(free_net("", 8489 * 7), Some(23));
    let all: String = (0..NETS).map(|net| format!("inet 10.213.{net}.254/24\n")).collect();
    assert_eq!(free_net(&all, 7), None);
}
