//! What happens besides what is due, drawn once a step.
//!
//! The wheel has a sector for each fault and each client of the plan, as wide
//! as its rate; most of it is empty.
//!
//! Not here: what a fault does (`mischief.rs`), what a client does
//! (`clients.rs`).

use super::plan::Plan;
use crate::random::Random;

/// Something that the wheel can stop at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Propose,
    Retransmit,
    Read,
    Forget,
    Transfer,
    Change,
    Replay,
    Cut,
    Heal,
    Crash,
    Poison,
    Pause,
    Release,
    CalendarJump,
    Snapshot,
    Rumour,
    Trap,
    Doubt,
    Ahead,
}

/// The plan's rates, added up.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Ends of the sectors, ascending.
    sectors: Vec<(u64, Turn)>,
    size: u64,
}

impl Wheel {
    pub(crate) fn new(plan: &Plan) -> Self {
        let (network, members, clients) = (&plan.network, &plan.members, &plan.clients);
        let rates = [
            (clients.propose, Turn::Propose),
            (clients.retransmit, Turn::Retransmit),
            (clients.read, Turn::Read),
            (clients.forget, Turn::Forget),
            (clients.transfer, Turn::Transfer),
            (clients.change, Turn::Change),
            (network.replay, Turn::Replay),
            (network.cut, Turn::Cut),
            (network.heal, Turn::Heal),
            (members.crash, Turn::Crash),
            (members.poison, Turn::Poison),
            (members.pause, Turn::Pause),
            (members.release, Turn::Release),
            (members.calendar_jump, Turn::CalendarJump),
            (members.snapshot, Turn::Snapshot),
            (members.rumour, Turn::Rumour),
            (members.rumour, Turn::Doubt),
            (members.trap, Turn::Trap),
            (members.ahead, Turn::Ahead),
        ];
        let mut end = 0;
        let mut sectors = Vec::new();
        for (rate, turn) in rates {
            end += rate;
            if rate > 0 {
                sectors.push((end, turn));
            }
        }
        Self { sectors, size: end.max(1_000_000) }
    }

    /// Where it stops this time, if anywhere.
    pub(crate) fn turn(&self, random: &mut Random) -> Option<Turn> {
        let at = random.below(self.size);
        let (end, _) = self.sectors.last()?;
        if at >= *end {
            return None;
        }
        let sector = self.sectors.iter().find(|(end, _)| at < *end);
        sector.map(|(_, turn)| *turn)
    }
}
