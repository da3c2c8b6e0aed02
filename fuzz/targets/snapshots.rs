//! A snapshot's bytes: refused, or restored whole, and the same however they
//! were cut into chunks; what was restored is written down and restored again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raftlet_fuzz::{restored, written};

use raftlet::StateMachine;

fuzz_target!(|data: &[u8]| {
    let Some((&chunk_bytes, bytes)) = data.split_first() else { return };
    let whole = restored(bytes, bytes.len());
    let parts = restored(bytes, usize::from(chunk_bytes));
    assert_eq!(whole.is_ok(), parts.is_ok());
    let (Ok(mut whole), Ok(parts)) = (whole, parts) else { return };
    assert_eq!(whole.digest(), parts.digest());
    let again = restored(&written(&mut whole), 1000).expect("its own state");
    assert_eq!(whole.digest(), again.digest());
});
