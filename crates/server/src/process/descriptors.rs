//! How many file descriptors the process has, and how many of them clients get.
//!
//! Log, peers and operators come first: a log that finds no descriptor for its
//! next segment is poisoned (rule 9), so clients that merely connect could end
//! one node after the other. The limit of the process is raised as far as the
//! system lets it, and `--clients-max` bounded by what is left (rule 34).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Kept from clients: 128 for two connections to each of 64 members, 64 for
/// handshakes under way, 64 for the admin port, 64 for the log and the rest.
const RESERVED: u64 = 320;

/// The clients that may be connected at once, of as many as are wanted.
pub(crate) fn clients_max(wanted: usize) -> usize {
    let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(RESERVED);
    let had = getrlimit(Resource::Nofile);
    let raised = raised(had, needed);
    // Refused only where the system keeps rules of its own: then by those.
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => had.current,
    };
    let allowed = share(limit, wanted);
    if allowed < wanted {
        let limit = limit.unwrap_or_default();
        warn!(
            "--clients-max is {wanted}, but the process may open {limit} files only and keeps \
             {RESERVED} or half of them for itself: {allowed} clients are served; raise the \
             limit (ulimit -n, LimitNOFILE)"
        );
    }
    allowed
}

/// The limit to ask for; `None` is without limit.
fn raised(had: Rlimit, needed: u64) -> Rlimit {
    let wanted = had.current.map(|current| current.max(needed));
    let current = match (wanted, had.maximum) {
        (Some(wanted), Some(maximum)) => Some(wanted.min(maximum)),
        (wanted, _) => wanted,
    };
    Rlimit { current, ..had }
}

/// How many of `wanted` clients fit into `limit` files beside the node itself.
fn share(limit: Option<u64>, wanted: usize) -> usize {
    let Some(limit) = limit else {
        return wanted;
    };
    let left = limit.saturating_sub(RESERVED.min(limit / 2));
    usize::try_from(left).map_or(wanted, |left| wanted.min(left))
}

#[cfg(test)]
mod tests {
    use rustix::process::Rlimit;

    use super::{RESERVED, raised, share};

    #[test]
    fn clients_never_get_the_descriptors_that_the_node_needs() {
        assert_eq!(share(None, 10_000), 10_000);
        assert_eq!(share(Some(20_000), 10_000), 10_000);
        assert_eq!(share(Some(1_024), 10_000), 704);
        assert_eq!(share(Some(256), 10_000), 128);
        assert_eq!(share(Some(1_024), 100), 100);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_needed_and_allowed_and_never_lowered() {
        let limits = |current, maximum| Rlimit { current, maximum };
        let ask = |had| raised(had, 1_000 + RESERVED).current;
        assert_eq!(ask(limits(Some(1_024), Some(524_288))), Some(1_320));
        assert_eq!(ask(limits(Some(1_024), Some(1_100))), Some(1_100));
        assert_eq!(ask(limits(Some(1_024), None)), Some(1_320));
        assert_eq!(ask(limits(Some(65_536), Some(65_536))), Some(65_536));
        assert_eq!(ask(limits(None, None)), None);
    }
}
