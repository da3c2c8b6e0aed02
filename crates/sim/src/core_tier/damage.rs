//! Disks of members that are down lose what they held (rule 10).
//!
//! - The end of a log: it is told as shorter, with what is missing (D29).
//! - A snapshot, found when it is opened: of a log that begins behind entry 1 all
//!   is lost but term and vote (D53).
//! - A chunk of a snapshot, found when it is read: the member takes part until its
//!   machine is to be restored, halts, and the next start is as above. (Opening a
//!   group again in the same run is the driver's, D55.)
//!
//! A harmed member gives no vote. So that the others can elect without it, no
//! more are harmed at a time than a group can do without.
//!
//! Not here: what of it must hold (`judge/election.rs`, `judge/acks.rs`).

use super::invariants::Violation;
use super::member::Rot;
use super::world::World;
use crate::tally::Mark;
use raftlet::core::Index;

impl World {
    /// The disk of a member that has just crashed may be damaged, in one way.
    pub(super) fn damage(&mut self, seat: usize) {
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != seat);
        let harmed = others.filter(|(_, member)| member.is_spoilt()).count();
        if harmed >= (self.plan.voters - 1) / 2 || self.members[seat].rot.is_some() {
            return;
        }
        if self.damage_log(seat) || self.damage_snapshot(seat) {
            if harmed > 0 {
                self.judge.tally.mark(Mark::DamageOfSeveral);
            }
        } else {
            self.begin_to_rot(seat);
        }
    }

    /// It has lost the end of the log. Entries behind the snapshot only: those
    /// before it would be healed by that.
    fn damage_log(&mut self, seat: usize) -> bool {
        if self.plan.members.damage == 0 {
            return false;
        }
        let image = &self.members[seat].durable;
        let kept = image.base().index.max(image.snapshot_last().index).max(Index::FIRST);
        let behind = image.last().index.get().saturating_sub(kept.get());
        if behind == 0 || !self.random.mischief.chance(self.plan.members.damage) {
            return false;
        }
        let from = kept.plus(1 + self.random.mischief.below(behind));
        let again = !self.members[seat].lost.is_empty();
        self.judge.tally.mark(if again { Mark::DamageAgain } else { Mark::Damage });
        self.members[seat].damage(from);
        self.tell(seat, || format!("has lost its entries from {from} on"));
        self.judge_damaged_keeper(seat);
        true
    }

    /// Its snapshot is found damaged.
    fn damage_snapshot(&mut self, seat: usize) -> bool {
        let is_there = self.members[seat].durable.snapshot().is_some();
        if !is_there || !self.random.losses.chance(self.plan.members.spoil) {
            return false;
        }
        self.lose_snapshot(seat);
        true
    }

    fn lose_snapshot(&mut self, seat: usize) {
        let again = !self.members[seat].lost.is_empty();
        let is_all_lost = self.members[seat].damage_snapshot();
        self.judge.tally.mark(match (is_all_lost, again) {
            (false, _) => Mark::SnapshotForgone,
            (true, false) => Mark::SnapshotDamaged,
            (true, true) => Mark::SnapshotDamagedAgain,
        });
        self.trace.fold(&[0xd5, self.now, u64::from(is_all_lost)]);
        self.tell(seat, || format!("has a damaged snapshot, all is lost: {is_all_lost}"));
        self.judge_damaged_keeper(seat);
    }

    /// A chunk of its snapshot is damaged, as nobody knows yet.
    fn begin_to_rot(&mut self, seat: usize) {
        let of = self.members[seat].durable.snapshot_last();
        if self.is_calm
            || of.index == Index::ZERO
            || !self.random.losses.chance(self.plan.members.rot)
        {
            return;
        }
        self.judge.tally.mark(Mark::Rot);
        self.members[seat].rot = Some(Rot { of, is_met: false });
        self.tell(seat, || format!("has a damaged chunk in its snapshot of {of}"));
    }

    /// Whether reading the current snapshot meets a damaged chunk.
    pub(super) fn is_rotten(&self, seat: usize) -> bool {
        let member = &self.members[seat];
        member.rot.is_some_and(|rot| rot.of == member.durable.snapshot_last())
    }

    /// A machine was to be restored from a damaged chunk: the group halts, and the
    /// next start is told.
    pub(super) fn meet_rot(&mut self, seat: usize) -> Result<(), Violation> {
        self.judge.tally.mark(Mark::RotMet);
        self.tell(seat, || "halts, a chunk of its snapshot is damaged".to_owned());
        self.note_rot(seat);
        self.halt(seat)
    }

    /// Damage of a chunk is known from now on.
    pub(super) fn note_rot(&mut self, seat: usize) {
        if let Some(rot) = &mut self.members[seat].rot {
            rot.is_met = true;
        }
    }

    /// A member that starts finds what its disk has lost.
    pub(super) fn find_losses(&mut self, seat: usize) {
        if self.members[seat].rot.is_some_and(|rot| rot.is_met) {
            self.lose_snapshot(seat);
        }
        let member = &mut self.members[seat];
        if member.durable.find_again() {
            member.written = member.durable.clone();
            self.judge.tally.mark(Mark::LossFound);
        }
    }
}
