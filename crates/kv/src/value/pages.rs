//! A row of things that grows without moving what it holds.
//!
//! A vector that is full moves everything into a larger one; at ten million
//! keys one write would pay for that with seconds. Here room comes page by
//! page, and a place is found by two steps instead of one.

use std::ops::Range;

/// Things on a page: of a table's items some 100 KiB, which the allocator
/// still takes from its heap, and a list of pages that stays in the caches.
pub(crate) const PAGE_LEN: usize = 1_024;

/// A row of things.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    /// The first page grows as a vector does, and lies here: most rows are short.
    first: Vec<T>,
    /// The others. All pages but the last are full, and none of these is empty.
    more: Vec<Vec<T>>,
}

impl<T> Pages<T> {
    pub(crate) const fn new() -> Self {
        Self { first: Vec::new(), more: Vec::new() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.more.last() {
            None => self.first.len(),
            Some(last) => self.more.len() * PAGE_LEN + last.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        match (at / PAGE_LEN).checked_sub(1) {
            None => self.first.get(at),
            Some(page) => self.more.get(page)?.get(at % PAGE_LEN),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        match (at / PAGE_LEN).checked_sub(1) {
            None => self.first.get_mut(at),
            Some(page) => self.more.get_mut(page)?.get_mut(at % PAGE_LEN),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, thing: T) {
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        if last.len() < PAGE_LEN {
            last.push(thing);
            return;
        }
        let mut page = Vec::with_capacity(PAGE_LEN);
        page.push(thing);
        self.more.push(page);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let thing = self.more.last_mut().unwrap_or(&mut self.first).pop();
        self.drop_empty();
        thing
    }

    /// Takes one out, whose place the last one takes.
    pub(crate) fn swap_remove(&mut self, at: usize) -> Option<T> {
        let last = self.pop()?;
        // It was the last itself, or something is in its place.
        Some(match self.get_mut(at) {
            Some(place) => std::mem::replace(place, last),
            None => last,
        })
    }

    /// Takes one out of the first page, and those behind it there move up: for a
    /// row that has no other.
    pub(crate) fn remove_from_first(&mut self, at: usize) -> Option<T> {
        debug_assert!(self.more.is_empty(), "a gap between pages");
        (at < self.first.len()).then(|| self.first.remove(at))
    }

    /// Takes up to `len` things off the end, of one page.
    pub(crate) fn take_off(&mut self, len: usize) -> Vec<T> {
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        let off = last.split_off(last.len().saturating_sub(len));
        self.drop_empty();
        off
    }

    /// Gives room back where most of it is not used.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.more);
        if self.more.is_empty() {
            shrink(&mut self.first);
        }
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.more.into_iter().flatten())
    }

    /// All things in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.range(0..self.len())
    }

    /// Those at these places that there are, in order.
    pub(crate) fn range(
        &self,
        places: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        let places = places.start..places.end.min(self.len());
        places.map(|at| self.get(at).expect("a place before the end"))
    }

    /// Things that there is room for.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.first.capacity() + self.more.iter().map(Vec::capacity).sum::<usize>()
    }

    fn drop_empty(&mut self) {
        self.more.pop_if(|last| last.is_empty());
    }
}

/// A half-empty one keeps its room: it may fill again.
fn shrink<T>(row: &mut Vec<T>) {
    let len = row.len();
    if row.capacity() > len.saturating_mul(4).saturating_add(8) {
        row.shrink_to(len.saturating_mul(2));
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE_LEN, Pages};

    #[test]
    fn it_holds_what_a_vector_holds_over_the_edges_of_pages() {
        let (mut pages, mut model) = (Pages::new(), Vec::new());
        assert!(pages.is_empty());
        for number in 0..3 * PAGE_LEN + 5 {
            pages.push(number);
            model.push(number);
            assert_eq!(pages.len(), model.len());
        }
        for at in [0, PAGE_LEN - 1, PAGE_LEN, 3 * PAGE_LEN + 1, 7] {
            assert_eq!(pages.swap_remove(at), Some(model.swap_remove(at)));
            assert_eq!(pages.get(at), model.get(at));
        }
        assert_eq!(pages.len(), 3 * PAGE_LEN);
        assert_eq!(pages.get(3 * PAGE_LEN), None);
        assert!(pages.iter().eq(&model) && pages.iter().rev().eq(model.iter().rev()));
        let (start, end) = (PAGE_LEN - 3, 2 * PAGE_LEN + 3);
        assert!(pages.range(start..end).eq(&model[start..end]));
        assert_eq!(pages.range(model.len() - 1..usize::MAX).len(), 1);
        assert_eq!(pages.range(model.len() + 1..model.len() + 2).len(), 0);
        assert!(pages.clone().into_iter().eq(model.iter().copied()));
        assert_eq!(pages.take_off(10), model.split_off(3 * PAGE_LEN - 10));
        while let Some(thing) = model.pop() {
            assert_eq!(pages.pop(), Some(thing));
            assert_eq!(pages.len(), model.len());
        }
        assert_eq!((pages.pop(), pages.swap_remove(0), pages.len()), (None, None, 0));
        assert!(pages.take_off(1).is_empty() && pages.is_empty());
    }

    #[test]
    fn what_a_row_holds_is_not_moved_when_it_grows() {
        let mut pages = Pages::new();
        let mut places = Vec::new();
        for number in 0..20 * PAGE_LEN {
            pages.push(number);
            if number % PAGE_LEN == PAGE_LEN - 1 {
                places.push((number, std::ptr::from_ref(pages.get(number).unwrap())));
            }
        }
        for (at, place) in places {
            assert!(std::ptr::eq(pages.get(at).unwrap(), place), "{at}");
        }
    }

    #[test]
    fn a_row_that_has_become_short_gives_its_room_back() {
        let mut pages = Pages::new();
        for number in 0..9 * PAGE_LEN {
            pages.push(number);
        }
        while pages.len() > 5 {
            pages.pop();
        }
        assert_eq!(pages.remove_from_first(1), Some(1));
        assert_eq!(pages.remove_from_first(4), None);
        pages.shrink();
        assert!(pages.iter().eq(&[0, 2, 3, 4]) && pages.capacity() <= 8);
    }
}
