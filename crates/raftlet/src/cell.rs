//! State shared by the tasks of one shard, on one thread.
//!
//! Everything a shard's tasks share sits in a [`ShardCell`]. It is entered by
//! a closure and never by a guard, so no borrow can outlive an `.await`
//! (rule 43).
//!
//! Invariant: what runs inside `with` decides and never acts. Wakers, ports
//! and callers' values come out as data and are used or dropped after it.

use std::cell::RefCell;

/// State shared by the tasks of one shard.
#[derive(Debug, Default)]
pub(crate) struct ShardCell<T>(RefCell<T>);

impl<T> ShardCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Runs `f` with the state. `f` must not wake, call a port, or drop a
    /// caller's value: those happen after, on what `f` returned.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.try_borrow_mut().expect("an effect ran inside ShardCell::with"))
    }
}

#[cfg(test)]
mod tests {
    use super::ShardCell;

    #[test]
    fn what_runs_inside_sees_and_changes_the_state() {
        let cell = ShardCell::new(1);
        let before = cell.with(|n| std::mem::replace(n, 2));
        assert_eq!((before, cell.with(|n| *n)), (1, 2));
    }

    #[test]
    fn entering_twice_at_once_is_caught_and_not_silently_shared() {
        let cell = ShardCell::new(0);
        let nested = || cell.with(|_| cell.with(|n| *n));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(nested));
        assert!(caught.is_err(), "a nested borrow went unnoticed");
    }
}
