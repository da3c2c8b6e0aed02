//! Pictures of the cluster for live pages, as server-sent events.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::fill::WATCHERS_MAX;
use crate::observe::dashboard::{FEED_EVERY, gather};
use crate::observe::inspect::Inspect;

/// Pictures that wait for a page to take them; it misses the next ones.
const WAITING_MAX: usize = 2;
/// A page that lost us comes back after so many milliseconds.
const PRELUDE: &[u8] = b"retry: 1000\n\n";

/// Who looks.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    pages: RefCell<Vec<mpsc::Sender<Bytes>>>,
    is_fed: Cell<bool>,
}

impl Watchers {
    /// One more page looks at the cluster of `node`; `None` when there are too
    /// many. Dropping the receiver ends it.
    pub(crate) fn watch<N: Inspect>(
        self: &Rc<Self>,
        node: &Rc<N>,
    ) -> Option<mpsc::Receiver<Bytes>> {
        let mut pages = self.pages.borrow_mut();
        pages.retain(|page| !page.is_closed());
        if pages.len() >= WATCHERS_MAX {
            return None;
        }
        let (page, pictures) = mpsc::channel(WAITING_MAX);
        // The channel is new, so there is room.
        let _ = page.try_send(Bytes::from_static(PRELUDE));
        pages.push(page);
        node.admin_fill().watchers.set(pages.len());
        if !self.is_fed.replace(true) {
            tokio::task::spawn_local(feed(Fed(Rc::clone(self)), Rc::clone(node)));
        }
        Some(pictures)
    }

    /// Shows a picture to all. How many look.
    fn show(&self, picture: &Bytes) -> usize {
        let mut pages = self.pages.borrow_mut();
        // A page that has not taken the last ones misses this one.
        pages.retain(|page| {
            !matches!(page.try_send(picture.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
        pages.len()
    }
}

/// While it lives there is a feed.
struct Fed(Rc<Watchers>);

impl Drop for Fed {
    fn drop(&mut self) {
        self.0.is_fed.set(false);
    }
}

/// Asks and shows until nobody looks any more.
async fn feed<N: Inspect>(fed: Fed, node: Rc<N>) {
    let mut ticks = interval(FEED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let cluster = gather(&node, false).await;
        // Plain data; what does not serialize is not shown.
        let json = serde_json::to_string(&cluster).unwrap_or_default();
        let watchers_len = fed.0.show(&Bytes::from(format!("data: {json}\n\n")));
        node.admin_fill().watchers.set(watchers_len);
        if watchers_len == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::{WATCHERS_MAX, Watchers};
    use crate::observe::inspect::fake::Fake;

    #[tokio::test(start_paused = true)]
    async fn pages_are_fed_until_the_last_one_goes_and_again_when_one_comes() {
        let shown = async {
            let (watchers, node) = (Rc::new(Watchers::default()), Rc::new(Fake::default()));
            for _ in 0..2 {
                let mut page = watchers.watch(&node).unwrap();
                assert!(page.recv().await.unwrap().starts_with(b"retry: "));
                for _ in 0..3 {
                    let picture = page.recv().await.unwrap();
                    assert!(picture.starts_with(b"data: {\"asked\":0,"), "{picture:?}");
                }
                drop(page);
                while watchers.is_fed.get() {
                    tokio::time::advance(super::FEED_EVERY).await;
                    tokio::task::yield_now().await;
                }
            }
        };
        LocalSet::new().run_until(shown).await;
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_only_so_many_pages_and_a_slow_one_holds_little() {
        let shown = async {
            let (watchers, node) = (Rc::new(Watchers::default()), Rc::new(Fake::default()));
            let mut pages: Vec<_> =
                (0..WATCHERS_MAX).map(|_| watchers.watch(&node).unwrap()).collect();
            assert!(watchers.watch(&node).is_none());
            let mut quick = pages.pop().unwrap();
            for _ in 0..10 {
                quick.recv().await.unwrap();
            }
            assert!(pages.iter().all(|slow| slow.len() == super::WAITING_MAX));
            drop(pages.pop());
            assert!(watchers.watch(&node).is_some());
        };
        LocalSet::new().run_until(shown).await;
    }
}
