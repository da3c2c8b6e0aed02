//! A thread that does one blocking thing after another, and the way back.
//!
//! [`Lane::run`] hands work to the thread and returns a future; the thread
//! wakes the task that awaits it. Dropping the future does not stop the work.
//! Dropping the lane lets the thread finish what was handed over, and waits
//! for that.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A thread of its own.
#[derive(Debug)]
pub(crate) struct Lane {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Lane {
    /// Starts the thread.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || queue.into_iter().for_each(|job| job());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does `work` on the thread, after all that was handed over before.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Completion<T> {
        let slot = Arc::new(Mutex::new(Slot { state: State::Waiting, waker: None }));
        let promise = Promise(Arc::clone(&slot));
        let job: Job = Box::new(move || promise.keep(work()));
        if let Some(jobs) = &self.jobs {
            // A thread that has ended drops the job and its promise with it:
            // the completion says so.
            let _ = jobs.send(job);
        }
        Completion(slot)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has ended its jobs' promises already.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
enum State<T> {
    Waiting,
    Done(T),
    Gone,
}

#[derive(Debug)]
struct Slot<T> {
    state: State<T>,
    waker: Option<Waker>,
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Promise<T>(Arc<Mutex<Slot<T>>>);

impl<T> Promise<T> {
    fn keep(self, value: T) {
        lock(&self.0).state = State::Done(value);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            if matches!(slot.state, State::Waiting) {
                slot.state = State::Gone;
            }
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Ends with what the work returned; `None` when the thread ended before.
#[derive(Debug)]
pub(crate) struct Completion<T>(Arc<Mutex<Slot<T>>>);

impl<T> Future for Completion<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        match std::mem::replace(&mut slot.state, State::Gone) {
            State::Done(value) => Poll::Ready(Some(value)),
            State::Gone => Poll::Ready(None),
            State::Waiting => {
                slot.state = State::Waiting;
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Runs a future to its end on this thread, which sleeps meanwhile: for
/// offline tools and tests, whose only waiting is for the disk.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let sleeper = Arc::new(Sleeper { thread: thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        while !sleeper.is_woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// A thread in [`block_on`]. A thread has one token to be unparked by, and whatever
/// else the future waits for on it may take that: the flag is the wake's own.
struct Sleeper {
    thread: thread::Thread,
    is_woken: AtomicBool,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;
    use std::thread;
    use std::time::Duration;

    use super::{Lane, block_on};

    #[test]
    fn work_is_done_in_order_and_its_results_come_back() {
        let lane = Lane::start("test").unwrap();
        let (sender, receiver) = mpsc::channel();
        let waiting: Vec<_> = (0..100)
            .map(|number| {
                let sender = sender.clone();
                lane.run(move || {
                    sender.send(number).unwrap();
                    number * 2
                })
            })
            .collect();
        for (number, completion) in (0..100).zip(waiting) {
            assert_eq!(block_on(completion), Some(number * 2));
        }
        assert!(receiver.try_iter().eq(0..100));
    }

    #[test]
    fn a_future_that_is_dropped_does_not_stop_the_work() {
        let lane = Lane::start("test").unwrap();
        let (sender, receiver) = mpsc::channel();
        drop(lane.run(move || sender.send(7).unwrap()));
        drop(lane);
        assert_eq!(receiver.try_recv(), Ok(7));
    }

    #[test]
    fn work_that_dies_with_its_thread_is_reported_not_awaited_for_ever() {
        let lane = Lane::start("test").unwrap();
        let dying = lane.run(|| panic!("part of the test"));
        assert_eq!(block_on(dying), None::<()>);
        assert_eq!(block_on(lane.run(|| 1)), None);
    }

    #[test]
    fn a_wake_is_not_lost_where_the_future_itself_parks_the_thread() {
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let mut is_first = true;
            block_on(poll_fn(|context| {
                if !std::mem::take(&mut is_first) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                thread::park();
                Poll::Pending
            }));
            sender.send(()).unwrap();
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(()), "it sleeps for ever");
    }
}
