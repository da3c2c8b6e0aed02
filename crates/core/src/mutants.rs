//! Bugs on purpose, to see whether the simulator notices.
//!
//! Each mutant breaks one rule at the rule's own home, where it reads
//! `if mutants::is_active(17) { .. }`. In a usual build that is `if false` and
//! vanishes. With `RUSTFLAGS="--cfg mutants"` one mutant can be chosen for the
//! whole process, so that one build serves them all.
//!
//! The catalogue's numbers are kept; a test of the simulator holds that each
//! is caught by the invariant named here, or by one that sees it sooner.

/// A bug on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its name on the command line.
    pub id: &'static str,
    /// What it does wrong.
    pub name: &'static str,
    /// The invariant that it breaks.
    pub invariant: &'static str,
    number: u32,
}

/// Why a mutant cannot be activated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MutantError {
    /// Not among those built in.
    #[error("no mutant `{id}` in this build; they exist only with RUSTFLAGS=\"--cfg mutants\"")]
    Unknown {
        /// As asked for.
        id: String,
    },
}

macro_rules! mutants {
    ($($number:literal $id:literal $invariant:literal $name:literal;)*) => {
        #[cfg_attr(not(mutants), expect(dead_code, reason = "only a mutants build lists them"))]
        const ALL: &[Mutant] = &[$(
            Mutant { id: $id, name: $name, invariant: $invariant, number: $number },
        )*];
    };
}

mutants! {
    1 "M01" "I04" "the vote is not handed to the disk";
}

/// The mutants of this build; none in a usual one.
#[must_use]
pub fn built_in() -> &'static [Mutant] {
    #[cfg(mutants)]
    return ALL;
    #[cfg(not(mutants))]
    &[]
}

/// Breaks the core of this process.
///
/// # Errors
/// [`MutantError::Unknown`] when this build has no such mutant.
pub fn activate(id: &str) -> Result<(), MutantError> {
    let known = built_in().iter().find(|mutant| mutant.id == id);
    let mutant = known.ok_or_else(|| MutantError::Unknown { id: id.to_owned() })?;
    activate_number(mutant.number);
    Ok(())
}

#[cfg(mutants)]
static ACTIVE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[cfg(mutants)]
fn activate_number(number: u32) {
    ACTIVE.store(number, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(not(mutants))]
fn activate_number(_: u32) {}

/// Whether this rule is to be broken.
#[cfg(mutants)]
pub(crate) fn is_active(number: u32) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == number
}

/// Whether this rule is to be broken: never, in a usual build.
#[cfg(not(mutants))]
pub(crate) const fn is_active(_: u32) -> bool {
    false
}
