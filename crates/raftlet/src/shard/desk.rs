//! Where what a member lends in a drain is taken up.
//!
//! Handles of its entries go to the next write and into messages: both outlive
//! the turn, so nothing of it stays borrowed.

use crate::effects::Effects;
use crate::port::StateMachine;
use crate::shard::writer::Writer;
use crate::timers::Slot;
use raftlet_core::{
    Ack, AppendRef, Body, Envelope, Generation, GroupId, Head, Message, Outlet, PersistRef,
};

/// Where what a member lends goes: to the next write, and to the messages that
/// leave at the end of the turn.
pub(super) struct Desk<'a, M: StateMachine> {
    pub(super) slot: Slot,
    pub(super) group: GroupId,
    pub(super) generation: Generation,
    pub(super) is_leader: bool,
    /// Acks say so while it is.
    pub(super) is_short: bool,
    pub(super) writer: &'a mut Writer,
    pub(super) due: &'a mut Effects<M>,
}

impl<M: StateMachine> Desk<'_, M> {
    #[inline]
    fn send(&mut self, Head { to, generation, term }: Head, body: Body) {
        let mut message = Message { generation, term, body };
        if self.is_short {
            message.tell_shortage();
        }
        self.due.send(to, self.group, message);
    }
}

impl<M: StateMachine> Outlet for Desk<'_, M> {
    fn persist(&mut self, persist: PersistRef<'_>) {
        let of = (self.group, self.generation);
        self.writer.gather(self.slot, of, self.is_leader, persist.to_owned());
    }

    fn append(&mut self, head: Head, append: AppendRef<'_>) {
        self.send(head, Body::Append(append.to_owned()));
    }

    fn ack(&mut self, head: Head, ack: &Ack) {
        self.send(head, Body::Ack(ack.clone()));
    }

    fn other(&mut self, Envelope { to, message }: Envelope) {
        self.due.send(to, self.group, message);
    }
}
