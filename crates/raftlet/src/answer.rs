//! Answers from the shard loop to a waiting caller.
//!
//! The loop keeps an [`Answer`], the caller awaits the [`Waiting`]. Both live on
//! one thread, so the two share an `Rc` and no atomics. What is asked for together
//! shares one: its answers have a place each, and the caller takes them in order
//! ([`WaitingAll`]), woken once for those that come at once.
//!
//! Invariants
//! - At most one value is ever given to a place: `give` takes the answer by value.
//! - Dropping who waits only stops waiting (rule 43): a value given later is
//!   dropped where it is given.
//! - An `Answer` dropped without a value ends the wait for it with `None`, so that
//!   a loop torn down in mid-turn leaves nobody hanging.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::cell::ShardCell;

/// What both sides share.
#[derive(Debug)]
struct Desk<T> {
    first: Place<T>,
    /// Mostly there are none: then no list is made.
    others: Vec<Place<T>>,
    waker: Option<Waker>,
    /// Nobody waits any more.
    is_abandoned: bool,
}

#[derive(Debug)]
enum Place<T> {
    Open,
    Given(T),
    /// Taken, or never to come.
    Over,
}

impl<T> Desk<T> {
    fn place(&mut self, at: usize) -> Option<&mut Place<T>> {
        match at.checked_sub(1) {
            None => Some(&mut self.first),
            Some(at) => self.others.get_mut(at),
        }
    }

    /// Takes what was given at a place.
    fn take(&mut self, at: usize) -> Poll<Option<T>> {
        match self.place(at) {
            Some(Place::Open) => Poll::Pending,
            Some(place @ Place::Given(_)) => match mem::replace(place, Place::Over) {
                Place::Given(value) => Poll::Ready(Some(value)),
                Place::Open | Place::Over => Poll::Ready(None),
            },
            Some(Place::Over) | None => Poll::Ready(None),
        }
    }
}

type Shared<T> = Rc<ShardCell<Desk<T>>>;

/// The side that answers.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    desk: Shared<T>,
    at: usize,
}

/// The side that waits; resolves to `None` when no answer will come.
#[derive(Debug)]
pub(crate) struct Waiting<T>(Shared<T>);

/// The side that waits for several.
#[derive(Debug)]
pub(crate) struct WaitingAll<T> {
    desk: Shared<T>,
    next: usize,
    len: usize,
}

/// Both sides of one answer.
pub(crate) fn answer<T>() -> (Answer<T>, Waiting<T>) {
    let desk = desk(1);
    (Answer { desk: Rc::clone(&desk), at: 0 }, Waiting(desk))
}

/// Both sides of `len` answers. All of them are to be taken out of the first: for
/// one that is never made somebody would wait for ever.
pub(crate) fn answers<T>(len: usize) -> (impl Iterator<Item = Answer<T>>, WaitingAll<T>) {
    let desk = desk(len);
    let waiting = WaitingAll { desk: Rc::clone(&desk), next: 0, len };
    ((0..len).map(move |at| Answer { desk: Rc::clone(&desk), at }), waiting)
}

fn desk<T>(len: usize) -> Shared<T> {
    let mut others = Vec::new();
    others.resize_with(len.saturating_sub(1), || Place::Open);
    Rc::new(ShardCell::new(Desk { first: Place::Open, others, waker: None, is_abandoned: false }))
}

impl<T> Answer<T> {
    /// Gives the answer and wakes who waits for it.
    pub(crate) fn give(self, value: T) {
        let at = self.at;
        let (unwanted, waker) = self.desk.with(|desk| {
            if desk.is_abandoned {
                return (Some(value), None);
            }
            let place = desk.place(at).expect("an answer has its place");
            *place = Place::Given(value);
            (None, desk.waker.take())
        });
        drop(unwanted);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.desk.with(|desk| desk.is_abandoned)
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let at = self.at;
        let waker = self.desk.with(|desk| {
            let place = desk.place(at).filter(|place| matches!(place, Place::Open))?;
            *place = Place::Over;
            desk.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Takes what was given at a place, or asks to be woken.
fn poll<T>(shared: &Shared<T>, at: usize, cx: &Context<'_>) -> Poll<Option<T>> {
    let polled = shared.with(|desk| desk.take(at));
    let is_known =
        |desk: &mut Desk<T>| desk.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
    if polled.is_pending() && !shared.with(is_known) {
        // Made and dropped outside of the cell: a waker is a caller's value.
        let waker = cx.waker().clone();
        let former = shared.with(|desk| desk.waker.replace(waker));
        drop(former);
    }
    polled
}

/// Stops waiting. What was given and not taken is dropped outside of the cell.
fn abandon<T>(shared: &Shared<T>) {
    let left = shared.with(|desk| {
        desk.is_abandoned = true;
        (mem::replace(&mut desk.first, Place::Over), mem::take(&mut desk.others), desk.waker.take())
    });
    drop(left);
}

impl<T> Future for Waiting<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        poll(&self.0, 0, cx)
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        abandon(&self.0);
    }
}

impl<T> WaitingAll<T> {
    /// The next answer in order, `Some(None)` where none will come; `None` behind
    /// the last.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Option<T>>> {
        if self.next == self.len {
            return Poll::Ready(None);
        }
        let polled = poll(&self.desk, self.next, cx);
        self.next += usize::from(polled.is_ready());
        polled.map(Some)
    }
}

impl<T> Drop for WaitingAll<T> {
    fn drop(&mut self) {
        abandon(&self.desk);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use super::{Answer, Waiting, WaitingAll, answer, answers};

    fn poll<T>(waiting: &mut Waiting<T>) -> Poll<Option<T>> {
        pin!(waiting).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn poll_next<T>(waiting: &mut WaitingAll<T>) -> Poll<Option<Option<T>>> {
        waiting.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_answer_arrives_once_and_a_dropped_one_ends_the_wait() {
        let (give, mut wait) = answer();
        assert_eq!(poll(&mut wait), Poll::Pending);
        give.give(7);
        assert_eq!(poll(&mut wait), Poll::Ready(Some(7)));
        let (dropped, mut wait) = answer::<u8>();
        drop(dropped);
        assert_eq!(poll(&mut wait), Poll::Ready(None));
    }

    #[test]
    fn an_answer_nobody_waits_for_is_dropped_where_it_is_given() {
        let (give, wait) = answer();
        drop(wait);
        assert!(give.is_abandoned());
        let value = Rc::new(());
        give.give(Rc::clone(&value));
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn answers_asked_for_together_come_in_order_whenever_they_are_given() {
        let (gives, mut wait) = answers(4);
        let [first, second, third, last] = gives.collect::<Vec<_>>().try_into().unwrap();
        third.give(3);
        assert_eq!(poll_next(&mut wait), Poll::Pending);
        first.give(1);
        assert_eq!(poll_next(&mut wait), Poll::Ready(Some(Some(1))));
        assert_eq!(poll_next(&mut wait), Poll::Pending);
        drop(second);
        assert_eq!(poll_next(&mut wait), Poll::Ready(Some(None)));
        assert_eq!(poll_next(&mut wait), Poll::Ready(Some(Some(3))));
        last.give(4);
        assert_eq!(poll_next(&mut wait), Poll::Ready(Some(Some(4))));
        assert_eq!(poll_next(&mut wait), Poll::Ready(None));
    }

    #[test]
    fn of_several_those_that_nobody_took_are_dropped_with_who_waited() {
        let (gives, mut wait) = answers(3);
        let mut gives: Vec<Answer<Rc<()>>> = gives.collect();
        let value = Rc::new(());
        gives.remove(0).give(Rc::clone(&value));
        gives.remove(1).give(Rc::clone(&value));
        assert!(poll_next(&mut wait).is_ready());
        drop(wait);
        assert_eq!(Rc::strong_count(&value), 1);
        assert!(gives.iter().all(Answer::is_abandoned));
        gives.remove(0).give(Rc::clone(&value));
        assert_eq!(Rc::strong_count(&value), 1);
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_for_several_is_woken_once_between_two_looks() {
        let counting = Arc::new(Counting::default());
        let waker = Waker::from(Arc::clone(&counting));
        let cx = Context::from_waker(&waker);
        let (gives, mut wait) = answers(3);
        let mut gives: Vec<Answer<u8>> = gives.collect();
        assert!(wait.poll_next(&cx).is_pending());
        gives.remove(1).give(1);
        gives.remove(0).give(0);
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
        while wait.poll_next(&cx).is_ready() {}
        gives.remove(0).give(2);
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
    }
}
