//! The bytes of a step of a lock library.
//!
//! ```text
//! u8 step, list of bytes key, bytes token, i64 lifetime
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{Reader, push_bytes, push_i64, push_list};
use crate::operation::lock::{LockCommand, LockStep};

pub(super) fn encode<B: AsRef<[u8]>>(command: &LockCommand<B>, out: &mut Vec<u8>) {
    let LockCommand { step, keys, token, lifetime_ms } = command;
    out.push(step.number());
    push_list(out, keys);
    push_bytes(out, token);
    push_i64(out, *lifetime_ms);
}

pub(super) fn decode<'a>(reader: &mut Reader<'a>) -> Result<LockCommand<&'a [u8]>, DecodeError> {
    Ok(LockCommand {
        step: reader.choice(LockStep::of)?,
        keys: reader.list(Reader::bytes)?,
        token: reader.bytes()?,
        lifetime_ms: reader.i64()?,
    })
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    let command = LockCommand {
        step: LockStep::Prolong,
        keys: vec![&b"k"[..]],
        token: &b"me"[..],
        lifetime_ms: -2,
    };
    vec![(
        crate::Command::Lock(Box::new(command)),
        r"\x02$\x04\x01\x00\x00\x00\x01\x00\x00\x00k\x02\x00\x00\x00me\xfe\xff\xff\xff\xff\xff\xff\xff",
    )]
}
