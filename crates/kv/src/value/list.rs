//! Elements in the order that clients gave them.
//!
//! A ring of small byte strings: both ends and any position are reached at
//! once; a change in the middle costs the distance to the nearer end.
//!
//! The digest is a polynomial, the sum of every element's hash times `BASE` to
//! the power of its position, modulo 2^64. It knows the order, and changes at
//! either end cost one multiplication: pushing at the front multiplies the sum
//! by `BASE`, popping there multiplies by its inverse.
//!
//! Invariant: `power` is `BASE` to the power of the length.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::value::element;
use crate::value::moment::{Watch, Watched};

/// What an element takes beyond its bytes: a place in the ring with spare room,
/// and an allocation's header.
const ELEMENT_OVERHEAD_BYTES: usize = 48;

/// Odd, so that it has an inverse modulo 2^64.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const BASE_INVERSE: u64 = inverse(BASE);
const _: () = assert!(BASE.wrapping_mul(BASE_INVERSE) == 1);

/// Elements in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    elements: VecDeque<Box<[u8]>>,
    digest: u64,
    power: u64,
    used_bytes: usize,
    /// While it is read out: told of what is about to change.
    watch: Watch,
}

/// One of the two ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The left one, where position 0 is.
    Front,
    /// The right one.
    Back,
}

impl Default for List {
    fn default() -> Self {
        let (elements, watch) = (VecDeque::new(), Watch::default());
        Self { elements, digest: 0, power: 1, used_bytes: 0, watch }
    }
}

impl List {
    pub(crate) fn push(&mut self, end: End, element: Box<[u8]>) {
        let part = element::part(&element);
        self.used_bytes = self.used_bytes.saturating_add(element_bytes(&element));
        match end {
            End::Front => {
                self.digest = self.digest.wrapping_mul(BASE).wrapping_add(part);
                self.watch.shift(1);
                self.elements.push_front(element);
            }
            End::Back => {
                self.digest = self.digest.wrapping_add(part.wrapping_mul(self.power));
                self.elements.push_back(element);
            }
        }
        self.power = self.power.wrapping_mul(BASE);
    }

    pub(crate) fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let last = self.elements.len().checked_sub(1)?;
        let element = match end {
            End::Front => {
                self.save(0);
                self.watch.shift(-1);
                self.elements.pop_front()?
            }
            End::Back => {
                self.save(last);
                self.elements.pop_back()?
            }
        };
        let part = element::part(&element);
        self.used_bytes = self.used_bytes.saturating_sub(element_bytes(&element));
        self.power = self.power.wrapping_mul(BASE_INVERSE);
        self.digest = match end {
            End::Front => self.digest.wrapping_sub(part).wrapping_mul(BASE_INVERSE),
            End::Back => self.digest.wrapping_sub(part.wrapping_mul(self.power)),
        };
        self.shrink();
        Some(element)
    }

    /// Replaces the element at `position`. False: there is none.
    pub(crate) fn set(&mut self, position: usize, element: &[u8]) -> bool {
        self.save(position);
        let Some(slot) = self.elements.get_mut(position) else {
            return false;
        };
        let old = std::mem::replace(slot, element.into());
        let change = element::part(element).wrapping_sub(element::part(&old));
        let power = power_of_base(position);
        self.digest = self.digest.wrapping_add(change.wrapping_mul(power));
        let without_old = self.used_bytes.saturating_sub(element_bytes(&old));
        self.used_bytes = without_old.saturating_add(element_bytes(element));
        true
    }

    /// Puts an element before the one at `position`, or last if there is none.
    pub(crate) fn insert(&mut self, position: usize, element: &[u8]) {
        self.save_all();
        self.elements.insert(position.min(self.elements.len()), element.into());
        self.recount();
    }

    /// Takes out elements equal to `element`, at most `len_max` of them,
    /// counted from `from`. Returns how many those were.
    pub(crate) fn remove(&mut self, element: &[u8], from: End, len_max: usize) -> usize {
        self.save_all();
        let mut removed_len = 0;
        let mut is_kept = |held: &[u8]| {
            let goes = removed_len < len_max && held == element;
            removed_len += usize::from(goes);
            !goes
        };
        match from {
            End::Front => self.elements.retain(|held| is_kept(held)),
            End::Back => {
                let mut kept = VecDeque::with_capacity(self.elements.len());
                while let Some(held) = self.elements.pop_back() {
                    if is_kept(&held) {
                        kept.push_front(held);
                    }
                }
                self.elements = kept;
            }
        }
        if removed_len > 0 {
            self.recount();
            self.shrink();
        }
        removed_len
    }

    /// Keeps the `len` elements from `start` on.
    pub(crate) fn keep(&mut self, start: usize, len: usize) {
        for _ in 0..start.min(self.elements.len()) {
            self.pop(End::Front);
        }
        while self.elements.len() > len {
            self.pop(End::Back);
        }
    }

    pub(crate) fn get(&self, position: usize) -> Option<&[u8]> {
        self.elements.get(position).map(AsRef::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    /// All elements in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.elements.iter().map(AsRef::as_ref)
    }

    /// At most `len` elements from `start` on.
    pub(crate) fn range(&self, start: usize, len: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        let start = start.min(self.elements.len());
        let end = start.saturating_add(len).min(self.elements.len());
        self.elements.range(start..end).map(AsRef::as_ref)
    }

    /// The polynomial of the elements; knows their order.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Roughly the memory that elements take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Sums up anew after a change in the middle, which moved elements anyway.
    fn recount(&mut self) {
        (self.digest, self.power, self.used_bytes) = (0, 1, 0);
        for element in &self.elements {
            self.digest = self.digest.wrapping_add(element::part(element).wrapping_mul(self.power));
            self.power = self.power.wrapping_mul(BASE);
            self.used_bytes = self.used_bytes.saturating_add(element_bytes(element));
        }
    }

    /// What is about to change is told to whoever reads the list out.
    fn save(&mut self, position: usize) {
        if let Some(element) = self.elements.get(position) {
            self.watch.save(position, |into| element::put_bytes(element, into));
        }
    }

    /// A change in the middle, which costs the length of the list anyway.
    fn save_all(&mut self) {
        if self.watch.is_on() {
            (0..self.elements.len()).for_each(|position| self.save(position));
        }
    }

    /// Gives memory back after removals; a half-empty ring keeps it.
    fn shrink(&mut self) {
        let len = self.elements.len();
        if self.elements.capacity() > len.saturating_mul(4).saturating_add(8) {
            self.elements.shrink_to(len.saturating_mul(2));
        }
    }
}

impl Watched for List {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn elements_len(&self) -> usize {
        self.elements.len()
    }

    fn put_element(&self, position: usize, into: &mut BytesMut) {
        if let Some(element) = self.elements.get(position) {
            element::put_bytes(element, into);
        }
    }

    fn shed(&mut self, len: usize) -> bool {
        self.elements.truncate(self.elements.len().saturating_sub(len));
        !self.elements.is_empty()
    }
}

fn element_bytes(element: &[u8]) -> usize {
    element::len_bytes(&[element]).saturating_add(ELEMENT_OVERHEAD_BYTES)
}

fn power_of_base(mut exponent: usize) -> u64 {
    let (mut power, mut square) = (1_u64, BASE);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        exponent >>= 1;
    }
    power
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: every round
/// doubles the correct bits, beginning with three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut correct_bits = 3;
    while correct_bits < 64 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        correct_bits *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::random::Random;

    fn list_of(elements: &[&str]) -> List {
        let mut list = List::default();
        for element in elements {
            list.push(End::Back, element.as_bytes().into());
        }
        list
    }

    fn texts(list: &List) -> Vec<String> {
        list.iter().map(|element| String::from_utf8_lossy(element).into_owned()).collect()
    }

    fn naive_remove(naive: &mut Vec<String>, text: &str, from: End, len_max: usize) -> usize {
        let mut positions: Vec<usize> = (0..naive.len()).filter(|at| naive[*at] == text).collect();
        if from == End::Back {
            positions.reverse();
        }
        positions.truncate(len_max);
        positions.sort_unstable();
        for at in positions.iter().rev() {
            naive.remove(*at);
        }
        positions.len()
    }

    /// Also that the digest, however it came about, is that of a new list of
    /// the same elements.
    #[test]
    fn a_list_answers_as_a_vector_does() {
        let mut random = Random::new(11);
        let mut list = List::default();
        let mut naive: Vec<String> = Vec::new();
        for step in 0..20_000 {
            let text = random.below(9).to_string();
            let end = if random.below(2) == 0 { End::Front } else { End::Back };
            let position = random.position(naive.len() + 2);
            match random.below(12) {
                0..5 => {
                    list.push(end, text.as_bytes().into());
                    let at = if end == End::Front { 0 } else { naive.len() };
                    naive.insert(at, text);
                }
                5..8 => {
                    let popped = match end {
                        _ if naive.is_empty() => None,
                        End::Front => Some(naive.remove(0)),
                        End::Back => naive.pop(),
                    };
                    let popped = popped.map(|text| text.into_bytes().into_boxed_slice());
                    assert_eq!(list.pop(end), popped);
                }
                8 => {
                    assert_eq!(list.set(position, text.as_bytes()), position < naive.len());
                    if let Some(slot) = naive.get_mut(position) {
                        *slot = text;
                    }
                }
                9 => {
                    list.insert(position, text.as_bytes());
                    naive.insert(position.min(naive.len()), text);
                }
                10 => {
                    let removed = naive_remove(&mut naive, &text, end, 2);
                    assert_eq!(list.remove(text.as_bytes(), end, 2), removed);
                }
                _ if step % 50 == 0 => {
                    list.keep(position, 40);
                    naive = naive.iter().skip(position).take(40).cloned().collect();
                }
                _ => {}
            }
            let fresh: Vec<&str> = naive.iter().map(String::as_str).collect();
            let fresh = list_of(&fresh);
            assert_eq!(list.digest(), fresh.digest(), "step {step}");
            assert_eq!(list.used_bytes(), fresh.used_bytes(), "step {step}");
        }
        assert_eq!(texts(&list), naive);
    }

    #[test]
    fn the_digest_knows_the_order() {
        assert_ne!(list_of(&["a", "b"]).digest(), list_of(&["b", "a"]).digest());
        assert_ne!(list_of(&["a", "a"]).digest(), list_of(&["a"]).digest());
    }

    #[test]
    fn a_range_never_leaves_the_list() {
        let list = list_of(&["a", "b", "c"]);
        assert_eq!(list.range(1, usize::MAX).count(), 2);
        assert_eq!(list.range(9, 1).count(), 0);
    }
}
