//! Whatever a test waits for has an end: what it looks for, commands, children,
//! connections. Past it the test fails and tells what it waited for.
//!
//! Deadlines lie far beyond what an idle machine takes, so that a slow machine
//! makes tests slow, not wrong. They hold however long one look takes: a look may
//! be a question to a node that is answered late, each time.
//!
//! The prohibitions of clippy.toml see to it that nothing else here waits for a
//! process, or connects.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Everything waited for takes well under a second on an idle machine.
const LONGEST: Duration = Duration::from_secs(120);
/// A command ends by a bound of its own before; the demo's add up.
const COMMAND_LONGEST: Duration = Duration::from_secs(240);
/// What was killed ends when the kernel lets go of it.
const KILLED_LONGEST: Duration = Duration::from_secs(30);
/// For one answer: above every bound that a node keeps by default.
const ANSWER_LONGEST: Duration = Duration::from_secs(30);
/// This often at least is looked, however slow the machine.
const LOOKS_MIN: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
const BETWEEN_ASKS: Duration = Duration::from_millis(2);

/// Looks until `holds` says yes.
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    if let Err(seconds) = looked(LONGEST, BETWEEN_LOOKS, holds) {
        panic!("waited in vain until {what}, for {seconds} s");
    }
}

/// Looks until it holds or so much time has passed: then the seconds waited.
#[expect(clippy::disallowed_methods, reason = "a deadline; no test asserts a time")]
fn looked(
    longest: Duration,
    between: Duration,
    mut holds: impl FnMut() -> bool,
) -> Result<(), u64> {
    let (_silent, nothing) = mpsc::channel::<()>();
    let begin = Instant::now();
    for look in 0_u32.. {
        if holds() {
            return Ok(());
        }
        let waited = begin.elapsed();
        if look >= LOOKS_MIN && waited >= longest {
            return Err(waited.as_secs());
        }
        // Another process cannot be awaited otherwise.
        let _ = nothing.recv_timeout(between);
    }
    Ok(())
}

/// Commands run to their end, which comes: one that does not end is killed, and
/// told with its command line and what it printed.
pub(crate) trait Run {
    /// How one of our own ended, and what it printed. The test fails where it did
    /// not.
    fn run(&mut self) -> Output;

    /// The same, for a program of the system.
    ///
    /// # Errors
    /// There is none, or it did not end.
    fn try_run(&mut self) -> io::Result<Output>;
}

impl Run for Command {
    fn run(&mut self) -> Output {
        run_for(self, COMMAND_LONGEST).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    fn try_run(&mut self) -> io::Result<Output> {
        run_for(self, LONGEST)
    }
}

/// What it prints goes to files: a pipe would be open for as long as anybody whom
/// the command started.
fn run_for(command: &mut Command, longest: Duration) -> io::Result<Output> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let mut child = command.spawn()?;
    let status = ended_within(&mut child, longest);
    if status.is_none() {
        end(&mut child);
    }
    let (stdout, stderr) = (content(&mut stdout)?, content(&mut stderr)?);
    let Some(status) = status else {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr, seconds) = (text(&stdout), text(&stderr), longest.as_secs());
        let told = format!("not ended after {seconds} s: {command:?}\n{stdout}{stderr}");
        return Err(io::Error::new(ErrorKind::TimedOut, told));
    };
    Ok(Output { status, stdout, stderr })
}

fn content(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How a child ended by itself; the test fails where it does not.
pub(crate) fn ended(child: &mut Child, what: &str) -> ExitStatus {
    let seconds = LONGEST.as_secs();
    ended_within(child, LONGEST).unwrap_or_else(|| panic!("{what} runs on after {seconds} s"))
}

/// Ends a child by force, if it has not ended, and sees its end.
pub(crate) fn kill(child: &mut Child) {
    let is_gone = end(child);
    // While the test fails already, why is of more use.
    assert!(is_gone || std::thread::panicking(), "the kernel does not let go of {child:?}");
}

/// The same; false where the kernel does not let go of it.
fn end(child: &mut Child) -> bool {
    // It fails only for a child that has ended.
    let _ = child.kill();
    ended_within(child, KILLED_LONGEST).is_some()
}

/// A child that does not outlive its test, however that ends.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        kill(&mut self.0);
    }
}

fn ended_within(child: &mut Child, longest: Duration) -> Option<ExitStatus> {
    let mut status = None;
    let _ = looked(longest, BETWEEN_ASKS, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status
}

/// Tells other threads of a test to end, also when this one fails: who is to join
/// them would wait for ever.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A connection on which no read, no write, and not its making waits for ever.
///
/// # Errors
/// Nobody listens there.
pub(crate) fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let first = addresses.first().ok_or(ErrorKind::AddrNotAvailable)?;
    let stream = TcpStream::connect_timeout(first, ANSWER_LONGEST)?;
    stream.set_read_timeout(Some(ANSWER_LONGEST))?;
    stream.set_write_timeout(Some(ANSWER_LONGEST))?;
    Ok(stream)
}

#[test]
fn a_command_that_never_ends_is_killed_and_told_with_what_it_printed() {
    let mut endless = Command::new("sh");
    endless.args(["-c", "echo to stdout; echo to stderr >&2; echo $$; exec sleep 31536000"]);
    let text = run_for(&mut endless, Duration::from_millis(300)).unwrap_err().to_string();
    for part in ["not ended", "exec sleep 31536000", "to stdout\n", "to stderr\n"] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    let pid = text.lines().find_map(|line| line.trim().parse::<i32>().ok()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err(), "it runs on");
}

#[test]
fn a_wait_ends_by_the_time_that_its_looks_take() {
    let slow = || {
        let (_silent, nothing) = mpsc::channel::<()>();
        let _ = nothing.recv_timeout(Duration::from_millis(100));
        false
    };
    assert!(looked(Duration::from_millis(200), BETWEEN_LOOKS, slow).is_err());
}
