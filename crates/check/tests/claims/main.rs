//! The checker, checked.
//!
//! A judge that is wrong is worse than none. Its verdicts are compared with
//! every permutation on all small histories (`agreement`), with a second
//! algorithm on larger ones (`zones`), with the truth on histories of a real
//! object (`known_good`), and it must see each corruption of those
//! (`corruption`). `ledger` and `certificate` hold the other two judges.

#![expect(clippy::indexing_slicing, reason = "tests index what they built")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case has failed")]

mod agreement;
mod brute_force;
mod certificate;
mod corruption;
mod known_good;
mod ledger;
mod object;
mod random;
mod scribe;
mod search;
mod zones;
