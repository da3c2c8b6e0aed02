//! A row of things that grows without moving what it holds.
//!
//! A vector that is full moves everything into a larger one; at ten million
//! keys one write would pay for that with seconds. Here room comes page by
//! page, and a place is found by two steps instead of one.

/// Things on a page: of a table's items some 100 KiB, which the allocator
/// still takes from its heap, and a list of pages that stays in the caches.
pub(super) const PAGE_LEN: usize = 1_024;

/// A row of things.
#[derive(Debug)]
pub(super) struct Pages<T> {
    /// All but the last are full; none is empty.
    pages: Vec<Vec<T>>,
    /// Things on all of them.
    len: usize,
}

impl<T> Pages<T> {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.pages.get(at / PAGE_LEN)?.get(at % PAGE_LEN)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.pages.get_mut(at / PAGE_LEN)?.get_mut(at % PAGE_LEN)
    }

    #[inline]
    pub(super) fn push(&mut self, thing: T) {
        self.len += 1;
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE_LEN => last.push(thing),
            // The first page grows as a vector does: a row may stay short.
            None => self.pages.push(vec![thing]),
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE_LEN);
                page.push(thing);
                self.pages.push(page);
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let last = self.pages.last_mut()?;
        let thing = last.pop();
        self.len -= usize::from(thing.is_some());
        if last.is_empty() {
            self.pages.pop();
        }
        thing
    }

    /// Takes one out, whose place the last one takes.
    pub(super) fn swap_remove(&mut self, at: usize) -> Option<T> {
        let last = self.pop()?;
        // It was the last itself, or something is in its place.
        Some(match self.get_mut(at) {
            Some(place) => std::mem::replace(place, last),
            None => last,
        })
    }

    /// Takes up to `len` things off the end, of one page.
    pub(super) fn take_off(&mut self, len: usize) -> Vec<T> {
        let Some(last) = self.pages.last_mut() else {
            return Vec::new();
        };
        let off = last.split_off(last.len().saturating_sub(len));
        self.len -= off.len();
        if last.is_empty() {
            self.pages.pop();
        }
        off
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.pages.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE_LEN, Pages};

    #[test]
    fn it_holds_what_a_vector_holds_over_the_edges_of_pages() {
        let (mut pages, mut model) = (Pages::new(), Vec::new());
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
        assert_eq!(pages.take_off(10), model.split_off(3 * PAGE_LEN - 10));
        while let Some(thing) = model.pop() {
            assert_eq!(pages.pop(), Some(thing));
            assert_eq!(pages.len(), model.len());
        }
        assert_eq!((pages.pop(), pages.swap_remove(0), pages.len()), (None, None, 0));
        assert!(pages.take_off(1).is_empty() && pages.pages.is_empty());
    }
}
