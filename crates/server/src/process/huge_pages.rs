//! Huge pages for the node's memory, where the kernel gives them to who asks.
//!
//! A page of 2 MiB is one fault and one entry of the processor's table where
//! pages of 4 KiB are 512: a start that fills memory, and look-ups of keys that
//! lie in no cache, can be faster by it; joins can be slower (D49). On most systems the kernel gives
//! them to memory for which they were asked, and the allocator of glibc asks
//! when its own setting says so. That it reads before `main`, so a node
//! that is told to have them and was started without it starts itself once again, as the same process
//! with the same arguments.
//!
//! Invariants
//! - What the operator has set for the allocator stands.
//! - A process starts itself again once at most.
//! - Where it cannot, it goes on without.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};

use crate::cli::serve::HugePagesChoice;

/// What the kernel does about them.
const KERNEL: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
/// The settings of glibc, `name=value` with colons between.
const TUNABLES: &str = "GLIBC_TUNABLES";
/// The one about them: 0 no, 1 by advice, 2 from the kernel's pool.
const TUNABLE: &str = "glibc.malloc.hugetlb";
/// Names the process that started itself again. glibc takes its settings away
/// from programs with privileges of their own; without this they would never
/// get to `main`'s end.
const TRIED: &str = "RAFTLET_HUGE_PAGES_TRIED";

/// Asks for huge pages if that makes a difference. When it does this does not
/// return: the process begins again.
///
/// # Errors
/// The process cannot begin again. It can go on, but what the system does
/// with a process that writes to a closed pipe is its default again.
pub(crate) fn ask(choice: HugePagesChoice) -> io::Result<()> {
    let is_tried = env::var(TRIED).is_ok_and(|process| process == process::id().to_string());
    let tunables = env::var_os(TUNABLES).unwrap_or_default();
    if choice == HugePagesChoice::Off || is_tried || !is_worth_asking(&kernel(), &tunables) {
        return Ok(());
    }
    let mut words = env::args_os();
    let mut again = Command::new(env::current_exe()?);
    again.env(TUNABLES, with_huge_pages(tunables)).env(TRIED, process::id().to_string());
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    Err(again.args(words).exec())
}

/// Whether this process has huge pages, in a word or two.
pub(crate) fn found() -> &'static str {
    in_words(&kernel(), &env::var_os(TUNABLES).unwrap_or_default())
}

fn in_words(kernel: &str, tunables: &OsStr) -> &'static str {
    match (kernel, setting(tunables)) {
        ("always", _) => "always",
        ("madvise", Some(value)) if value != b"0" => "by advice",
        _ => "off",
    }
}

fn is_worth_asking(kernel: &str, tunables: &OsStr) -> bool {
    // Another library knows nothing of the setting.
    let is_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
    is_glibc && kernel == "madvise" && setting(tunables).is_none()
}

/// The last value that the tunables give the setting: it is the one that counts.
fn setting(tunables: &OsStr) -> Option<&[u8]> {
    let mut settings = tunables.as_encoded_bytes().rsplit(|byte| *byte == b':');
    settings.find_map(|one| one.strip_prefix(TUNABLE.as_bytes())?.strip_prefix(b"="))
}

fn with_huge_pages(mut tunables: OsString) -> OsString {
    if !tunables.is_empty() {
        tunables.push(":");
    }
    tunables.push(TUNABLE);
    tunables.push("=1");
    tunables
}

/// `always`, `madvise` or `never`; empty where the kernel does not tell.
fn kernel() -> String {
    chosen(&fs::read_to_string(KERNEL).unwrap_or_default()).to_owned()
}

/// Of words, the one in brackets.
fn chosen(words: &str) -> &str {
    let mut words = words.split_whitespace();
    words.find_map(|word| word.strip_prefix('[')?.strip_suffix(']')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStringExt;

    use super::{chosen, in_words, is_worth_asking, with_huge_pages};

    #[test]
    fn what_the_kernel_does_is_the_word_in_brackets() {
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen("[always] madvise never\n"), "always");
        assert_eq!(chosen("always madvise [never]"), "never");
        assert_eq!(chosen(""), "");
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn they_are_asked_for_where_that_helps_and_nobody_has_decided() {
        let asks = |kernel, tunables| is_worth_asking(kernel, OsStr::new(tunables));
        assert!(asks("madvise", ""));
        assert!(asks("madvise", "glibc.malloc.arena_max=1"));
        assert!(!asks("madvise", "glibc.malloc.hugetlb=0"));
        assert!(!asks("madvise", "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=2"));
        for kernel in ["always", "never", ""] {
            assert!(!asks(kernel, ""), "{kernel}");
        }
    }

    #[test]
    fn what_was_asked_for_is_not_asked_for_again_and_other_settings_stay() {
        // Not text, as whoever starts the node may have it.
        for before in [vec![], b"glibc.malloc.arena_max=1".to_vec(), vec![0xff, 0xfe]] {
            let after = with_huge_pages(OsString::from_vec(before.clone()));
            assert!(!is_worth_asking("madvise", &after));
            assert!(after.into_vec().starts_with(&before));
        }
    }

    #[test]
    fn a_node_says_which_pages_it_has() {
        let says = |kernel, tunables| in_words(kernel, OsStr::new(tunables));
        assert_eq!(says("madvise", "glibc.malloc.hugetlb=1"), "by advice");
        assert_eq!(says("madvise", "glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0"), "off");
        assert_eq!(says("madvise", ""), "off");
        assert_eq!(says("always", ""), "always");
        assert_eq!(says("never", "glibc.malloc.hugetlb=1"), "off");
    }
}
