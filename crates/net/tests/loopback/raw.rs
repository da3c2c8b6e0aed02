//! The wire by hand, from `docs/wire.md`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use raftlet::core::{Sender, crc32c};

pub(crate) const HELLO: u8 = 1;
pub(crate) const WELCOME: u8 = 2;
pub(crate) const REFUSAL: u8 = 3;
pub(crate) const MESSAGES: u8 = 4;

/// The seal of handshake frames.
const SEED: u32 = 0x6672_616d;

/// A connection driven by hand.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    seal: u32,
}

impl Raw {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, seal: SEED }
    }

    /// A header of 16 bytes for a body that may be longer or shorter than
    /// `length` says.
    pub(crate) fn header(&self, kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
        let mut covered = Vec::new();
        covered.extend(crc32c(self.seal, body).to_le_bytes());
        covered.extend(length.to_le_bytes());
        covered.extend([kind, 0, 0, 0]);
        let checksum = crc32c(self.seal, &covered).to_le_bytes();
        [&checksum[..], &covered].concat()
    }

    pub(crate) async fn write(&mut self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap();
        let frame = [&self.header(kind, length, body)[..], body].concat();
        self.stream.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn read(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).await.unwrap();
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        assert_eq!(self.header(header[12], length, &body), header);
        (header[12], body)
    }

    /// Waits until the other side closes; what arrives is thrown away.
    pub(crate) async fn until_closed(&mut self) {
        let mut buffer = vec![0; 4096];
        while self.stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
    }

    /// Dials a node and is welcome.
    pub(crate) async fn dial(address: &str, cluster: u128, me: Sender, to: u64) -> Self {
        let mut raw = Self::new(TcpStream::connect(address).await.unwrap());
        let hello = hello(cluster, me, to);
        raw.write(HELLO, &hello).await;
        let (kind, welcome) = raw.read().await;
        assert_eq!(kind, WELCOME);
        raw.seal = crc32c(SEED, &[&[1], &hello[..], &welcome].concat());
        raw
    }

    /// Takes the other part: welcomes whoever dials.
    pub(crate) async fn accept(stream: TcpStream, cluster: u128, me: Sender) -> Self {
        let mut raw = Self::new(stream);
        let (kind, _) = raw.read().await;
        assert_eq!(kind, HELLO);
        let mut welcome = Vec::new();
        welcome.extend(1_u16.to_le_bytes());
        welcome.extend(cluster.to_le_bytes());
        welcome.extend(sender(me));
        welcome.extend(5_u64.to_le_bytes());
        raw.write(WELCOME, &welcome).await;
        raw
    }
}

pub(crate) fn hello(cluster: u128, me: Sender, to: u64) -> Vec<u8> {
    let mut hello = b"raftlet\n".to_vec();
    hello.extend(1_u16.to_le_bytes());
    hello.extend(1_u16.to_le_bytes());
    hello.extend(cluster.to_le_bytes());
    hello.extend(sender(me));
    hello.extend(to.to_le_bytes());
    hello.extend(4_u64.to_le_bytes());
    hello
}

fn sender(sender: Sender) -> Vec<u8> {
    let mut bytes = sender.node.get().to_le_bytes().to_vec();
    bytes.extend(sender.incarnation.0.to_le_bytes());
    bytes.extend(sender.run.get().to_le_bytes());
    bytes
}
