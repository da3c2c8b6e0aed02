//! How much of its pipeline a client may have under way, beside the others.
//!
//! What one client has started is worked off together: its proposals are one
//! batch of the log, its reads one look at the state. A client that sends a
//! hundred thousand requests without waiting would make every batch as large as
//! its pipeline may be, and whoever asks one thing at a time would wait for all
//! of it each time. So the clients that ask share what may be under way, in
//! equal parts; the rest of a pipeline waits where it is, in the socket.
//!
//! A client alone has its whole pipeline: nobody waits for it. Where another
//! node leads a group others ask there, unseen from here. What they write shows
//! in the log between what this node's clients write: then they are taken for
//! many, else for one. A part is never so small that ordinary pipelines notice
//! it.
//!
//! Invariant: who asks is counted once in a span, when it asks first; a request
//! costs a comparison.
//!
//! Not here: the limits of a client alone (`Limits` of the `kv` crate).

use std::cell::Cell;

use raftlet_kv::Share;

/// Who asked within this or the last such span, asks. A client that waits for
/// each answer asks many times in it, on a slow disk as well.
const SPAN_MS: u64 = 128;

/// Requests that all clients together have under way, where they are several:
/// half of what one alone may have (`Limits::pipeline_len_max`). Beside sixteen
/// clients that wait for each answer a burst then doubles nobody's p99, at
/// either node (`tools/trouble hostile`, 2026-11-29: 1.1 to 1.3 times on
/// a quiet machine).
const SHARED_LEN: usize = 512;
/// A client's part is at least this: twice the depth of 16 that benchmarks and
/// libraries use, and at 50 clients as much as a batch of the log gains from.
const PART_LEN_MIN: usize = 32;
/// The same in rough bytes: four chunks of the log.
const SHARED_BYTES: usize = 4 << 20;
/// 16 values of 4 KiB. One request may go over it.
const PART_BYTES_MIN: usize = 64 << 10;
/// For so many stand the clients of a node that doesn't lead, at least. With 4
/// one that is alone there writes half as much (a pipeline of 500, 2026-11-29).
const FOLLOWED_CLIENTS_MIN: usize = 2;
/// And for so many where others write elsewhere: a part is then one of the
/// batches that sixteen clients make who wait for each answer.
const BUSY_CLIENTS_MIN: usize = 16;
/// Others write who had as many entries appended within a span: a client on a
/// slow disk that waits for each. A new leader's first entry is not they.
const OTHERS_ENTRIES_MIN: u64 = 8;

/// Counts the clients that ask.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// The number of the span, counted from 1.
    span: Cell<u64>,
    asking: Cell<usize>,
    asking_before: Cell<usize>,
    /// They are taken for so many.
    asking_min: Cell<usize>,
    /// What others had appended, when last looked at.
    appended_by_others: Cell<u64>,
}

/// The span in which a client was last counted. A new client's is 0.
#[derive(Debug, Default)]
pub(crate) struct Counted(u64);

impl Shares {
    /// A client asks something; its part until it asks again. `elsewhere`: how
    /// many entries others have had appended so far, as far as is known here;
    /// `None` where this node leads every group.
    pub(crate) fn part(
        &self,
        now_ms: u64,
        counted: &mut Counted,
        elsewhere: impl FnOnce() -> Option<u64>,
    ) -> Share {
        let span = now_ms / SPAN_MS + 1;
        if span != self.span.get() {
            let follows = span == self.span.get() + 1;
            self.asking_before.set(if follows { self.asking.get() } else { 0 });
            self.asking.set(0);
            self.asking_min.set(elsewhere().map_or(1, |appended| self.followed(appended)));
            self.span.set(span);
        }
        if counted.0 != span {
            counted.0 = span;
            self.asking.set(self.asking.get().saturating_add(1));
        }
        let asking = self.asking.get().max(self.asking_before.get());
        match asking.max(self.asking_min.get()) {
            0 | 1 => Share::WHOLE,
            clients => Share {
                len: (SHARED_LEN / clients).max(PART_LEN_MIN),
                bytes: (SHARED_BYTES / clients).max(PART_BYTES_MIN),
            },
        }
    }

    /// For how many the clients of a node that doesn't lead stand.
    fn followed(&self, appended_by_others: u64) -> usize {
        let before = self.appended_by_others.replace(appended_by_others);
        let others_write = appended_by_others.saturating_sub(before) >= OTHERS_ENTRIES_MIN;
        if others_write { BUSY_CLIENTS_MIN } else { FOLLOWED_CLIENTS_MIN }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BUSY_CLIENTS_MIN, Counted, FOLLOWED_CLIENTS_MIN, OTHERS_ENTRIES_MIN, PART_BYTES_MIN,
        PART_LEN_MIN, SHARED_LEN, SPAN_MS, Shares,
    };
    use raftlet_kv::Share;

    fn part(shares: &Shares, now_ms: u64, counted: &mut Counted) -> Share {
        shares.part(now_ms, counted, || None)
    }

    #[test]
    fn a_client_alone_has_its_whole_pipeline_and_two_have_half() {
        let shares = Shares::default();
        let (mut one, mut other) = (Counted::default(), Counted::default());
        for now_ms in [0, 1, SPAN_MS, 5 * SPAN_MS] {
            assert_eq!(part(&shares, now_ms, &mut one), Share::WHOLE);
        }
        assert_eq!(part(&shares, 5 * SPAN_MS, &mut other).len, SHARED_LEN / 2);
        assert_eq!(part(&shares, 5 * SPAN_MS, &mut one).len, SHARED_LEN / 2);
    }

    #[test]
    fn who_no_longer_asks_takes_no_part_after_two_spans() {
        let shares = Shares::default();
        let (mut one, mut other) = (Counted::default(), Counted::default());
        part(&shares, 0, &mut other);
        assert_eq!(part(&shares, 1, &mut one).len, SHARED_LEN / 2);
        assert_eq!(part(&shares, SPAN_MS, &mut one).len, SHARED_LEN / 2, "it may ask again");
        assert_eq!(part(&shares, 2 * SPAN_MS, &mut one), Share::WHOLE);
    }

    #[test]
    fn however_many_ask_a_part_is_enough_for_an_ordinary_pipeline() {
        let shares = Shares::default();
        let mut clients: Vec<Counted> = (0..5_000).map(|_| Counted::default()).collect();
        let parts: Vec<Share> =
            clients.iter_mut().map(|counted| part(&shares, 7, counted)).collect();
        assert!(parts.iter().all(|part| part.len >= PART_LEN_MIN && part.bytes >= PART_BYTES_MIN));
        assert_eq!(parts[4_999], Share { len: PART_LEN_MIN, bytes: PART_BYTES_MIN });
    }

    #[test]
    fn where_another_node_leads_a_client_is_never_taken_to_be_alone() {
        let shares = Shares::default();
        let mut one = Counted::default();
        assert_eq!(shares.part(0, &mut one, || Some(0)).len, SHARED_LEN / FOLLOWED_CLIENTS_MIN);
        assert_eq!(shares.part(SPAN_MS, &mut one, || None), Share::WHOLE);
    }

    #[test]
    fn where_another_node_leads_others_that_write_there_count_as_many_while_they_do() {
        let shares = Shares::default();
        let mut one = Counted::default();
        let few = OTHERS_ENTRIES_MIN - 1;
        let clients = [
            (few, FOLLOWED_CLIENTS_MIN),
            (few + OTHERS_ENTRIES_MIN, BUSY_CLIENTS_MIN),
            (few + 9 * OTHERS_ENTRIES_MIN, BUSY_CLIENTS_MIN),
            (few + 9 * OTHERS_ENTRIES_MIN, FOLLOWED_CLIENTS_MIN),
        ];
        for (span, (appended, clients)) in clients.into_iter().enumerate() {
            let now_ms = SPAN_MS * u64::try_from(span).unwrap();
            let part = shares.part(now_ms, &mut one, || Some(appended));
            assert_eq!(part.len, SHARED_LEN / clients, "in span {span}");
        }
    }
}
