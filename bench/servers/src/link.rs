//! A link between processes that can be cut: a relay of TCP connections.
//!
//! It runs on a thread of its own, so that a gigabyte on its way does not show
//! in what the clients measure. Cut, it closes what is open and refuses more.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::Failure;

/// Bytes passed on at once.
const RELAY_BYTES: usize = 64 << 10;

/// A port in front of another.
#[derive(Debug)]
pub struct Link {
    port: u16,
    is_cut: watch::Sender<bool>,
    bytes: Arc<AtomicU64>,
}

impl Link {
    /// Relays a free port to `target`, both of this machine, until the process
    /// ends.
    ///
    /// # Errors
    /// No port or thread is to be had.
    pub fn to(target: u16) -> Result<Self, Failure> {
        let text = |error: std::io::Error| format!("a link to port {target}: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
        listener.set_nonblocking(true).map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        let (is_cut, cut) = watch::channel(false);
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(text)?;
        let relay = move || {
            LocalSet::new().block_on(&runtime, async move {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    accept(listener, target, cut, counted).await;
                }
            });
        };
        std::thread::Builder::new().name("link".to_owned()).spawn(relay).map_err(text)?;
        Ok(Self { port, is_cut, bytes })
    }

    /// Where it is entered.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Closes what is open, and whatever comes.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Lets connections through again.
    pub fn heal(&self) {
        self.is_cut.send_replace(false);
    }

    /// Bytes that went towards the target so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    target: u16,
    cut: watch::Receiver<bool>,
    bytes: Arc<AtomicU64>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        if !*cut.borrow() {
            tokio::task::spawn_local(relay(stream, target, cut.clone(), Arc::clone(&bytes)));
        }
    }
}

async fn relay(
    stream: TcpStream,
    target: u16,
    mut cut: watch::Receiver<bool>,
    bytes: Arc<AtomicU64>,
) {
    let Ok(there) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    // Delays of a relay's own would be the link's.
    let _ = (stream.set_nodelay(true), there.set_nodelay(true));
    let (read, write) = stream.into_split();
    let (read_there, write_there) = there.into_split();
    let nobody = AtomicU64::new(0);
    tokio::select! {
        () = pass(read, write_there, &bytes) => {}
        () = pass(read_there, write, &nobody) => {}
        _ = cut.wait_for(|is_cut| *is_cut) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bytes: &AtomicU64) {
    let mut buffer = vec![0; RELAY_BYTES];
    while let Ok(read) = from.read(&mut buffer).await
        && read > 0
        && to.write_all(&buffer[..read]).await.is_ok()
    {
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}
