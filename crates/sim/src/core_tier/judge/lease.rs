//! Claims about leases, in true time.

use super::Judge;
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::tally::Mark;

impl Judge {
    /// Something happened at true time `now`: whoever could serve reads by its
    /// lease in this moment is the latest leader there ever was.
    pub(crate) fn on_leases(&mut self, members: &[Member], now: u64) -> Result<(), Violation> {
        let latest = self.reigns.keys().next_back().copied().unwrap_or_default();
        for member in members {
            let Some(group) = &member.group else {
                continue;
            };
            let Some(until) = group.lease_until() else {
                continue;
            };
            // It looks at its clock before it serves.
            if until <= member.clock.now(now).time {
                continue;
            }
            self.tally.mark(Mark::Lease);
            ensure(group.term() >= latest, invariants::LEASE_IS_ALONE, || {
                let term = group.term();
                format!("{} has a lease of term {term}, term {latest} is led", member.node)
            })?;
        }
        Ok(())
    }
}
