//! A collection as of one moment, read out in pieces while it goes on changing.
//!
//! A collection of a million elements is not written down in one go: its shard
//! would stand still meanwhile. Whoever reads it out begins a moment with it.
//! From then on an element that is about to change or to move is written out
//! first; the others are written out by and by, in order. A piece says where
//! its elements stood, so the pieces may come in any order.
//!
//! ```text
//! position   0 ──── walked ────▶|── not yet ──▶ len     what came since
//! a change        free          | written out ahead, once   free
//! ```
//!
//! Invariants
//! - An element that stood there at the moment and is not written out stands
//!   where it stood, as it was, but for what a list lost or got in front.
//! - Every element of the moment is written out exactly once.
//! - A copy of a collection has no moment; one that ended costs nothing.
//!
//! Not here: which collections are read out and when (`store/capture.rs`), the
//! bytes around a piece (`store/snapshot.rs`).

use bytes::BytesMut;

/// Names a moment: a capture of the store, and one of its collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MomentId {
    pub(crate) capture: u64,
    pub(crate) number: u32,
}

/// Neighbours of a collection, as they were.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Where the first stood.
    pub(crate) first: u64,
    pub(crate) len: u32,
    pub(crate) bytes: BytesMut,
}

/// What a walk may take at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceMax {
    pub(crate) len: u32,
    /// The element that reaches it is the last.
    pub(crate) bytes: usize,
}

/// One collection as of one moment.
#[derive(Debug)]
struct Moment {
    id: MomentId,
    /// Elements at the moment.
    len: u64,
    /// All before this position are written out.
    walked: u64,
    /// One bit an element: written out ahead of the walk.
    is_saved: Vec<u64>,
    /// Where what is in front now stood at the moment; less than 0 for what
    /// came in front since.
    front: i64,
    /// Written out ahead, not fetched.
    ahead: Vec<Piece>,
}

/// The moment of a collection, if one is being read out.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Box<Moment>>);

impl Clone for Watch {
    fn clone(&self) -> Self {
        Self(None)
    }
}

/// Two collections are equal by what they hold.
impl PartialEq for Watch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Watch {}

/// A collection that can be read out as of one moment.
pub(crate) trait Watched {
    fn watch(&mut self) -> &mut Watch;

    /// How many elements it has.
    fn elements_len(&self) -> usize;

    /// Appends an element as it stands in a snapshot.
    fn put_element(&self, position: usize, into: &mut BytesMut);

    /// Drops up to `len` elements and leaves a ruin. False: none are left.
    fn shed(&mut self, len: usize) -> bool;
}

/// Begins the moment `id` of a collection.
pub(crate) fn begin(watched: &mut dyn Watched, id: MomentId) {
    let len = watched.elements_len();
    let moment = Moment {
        id,
        len: count(len),
        walked: 0,
        is_saved: vec![0; len.div_ceil(64)],
        front: 0,
        ahead: Vec::new(),
    };
    watched.watch().0 = Some(Box::new(moment));
}

/// Writes out the next elements; `None` when all are.
pub(crate) fn walk(watched: &mut dyn Watched, max: PieceMax) -> Option<Piece> {
    let mut moment = watched.watch().0.take()?;
    let piece = moment.walk(max, |position, into| watched.put_element(position, into));
    watched.watch().0 = Some(moment);
    piece
}

impl Watch {
    /// Which moment is being read out.
    pub(crate) fn id(&self) -> Option<MomentId> {
        self.0.as_ref().map(|moment| moment.id)
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Nobody reads it out any more.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// The element at a position of now is about to change or to move.
    pub(crate) fn save(&mut self, position: usize, put: impl FnOnce(&mut BytesMut)) {
        if let Some(moment) = &mut self.0 {
            moment.save(position, put);
        }
    }

    /// An element is about to come in front (1), or to go there (-1).
    pub(crate) fn shift(&mut self, by: i64) {
        if let Some(moment) = &mut self.0 {
            moment.front -= by;
        }
    }

    /// What was written out ahead, since the last time.
    pub(crate) fn take_ahead(&mut self) -> Vec<Piece> {
        self.0.as_mut().map(|moment| std::mem::take(&mut moment.ahead)).unwrap_or_default()
    }
}

impl Moment {
    fn save(&mut self, position: usize, put: impl FnOnce(&mut BytesMut)) {
        let stood = i64::try_from(position).unwrap_or(i64::MAX).saturating_add(self.front);
        let Ok(stood) = u64::try_from(stood) else { return };
        if stood >= self.len || stood < self.walked || self.is_saved_at(stood) {
            return;
        }
        if let Some(word) = self.is_saved.get_mut(word_of(stood)) {
            *word |= 1 << (stood % 64);
        }
        let follows =
            self.ahead.last_mut().filter(|piece| piece.first + u64::from(piece.len) == stood);
        if let Some(piece) = follows {
            put(&mut piece.bytes);
            piece.len += 1;
            return;
        }
        let mut bytes = BytesMut::new();
        put(&mut bytes);
        self.ahead.push(Piece { first: stood, len: 1, bytes });
    }

    fn walk(&mut self, max: PieceMax, put: impl Fn(usize, &mut BytesMut)) -> Option<Piece> {
        self.pass_saved();
        if self.walked >= self.len {
            return None;
        }
        let mut piece = Piece { first: self.walked, len: 0, bytes: BytesMut::new() };
        while self.walked < self.len
            && !self.is_saved_at(self.walked)
            && piece.len < max.len
            && piece.bytes.len() < max.bytes
        {
            let stood = i64::try_from(self.walked).unwrap_or(i64::MAX);
            put(usize::try_from(stood - self.front).unwrap_or(usize::MAX), &mut piece.bytes);
            piece.len += 1;
            self.walked += 1;
        }
        Some(piece)
    }

    /// Goes on to the first element that is not written out.
    fn pass_saved(&mut self) {
        while self.walked < self.len {
            let word = self.is_saved.get(word_of(self.walked)).copied().unwrap_or_default();
            let within = u32::try_from(self.walked % 64).unwrap_or_default();
            let saved = (word >> within).trailing_ones().min(64 - within);
            self.walked = (self.walked + u64::from(saved)).min(self.len);
            if within + saved < 64 {
                return;
            }
        }
    }

    fn is_saved_at(&self, stood: u64) -> bool {
        let word = self.is_saved.get(word_of(stood)).copied().unwrap_or_default();
        word >> (stood % 64) & 1 == 1
    }
}

fn word_of(stood: u64) -> usize {
    usize::try_from(stood / 64).unwrap_or(usize::MAX)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
