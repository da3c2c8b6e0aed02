//! The bytes of the family of keys.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 del          list of bytes key
//!   2 expire       bytes key, u8 0 in or 1 at, i64 ms, u8 condition: bits
//!                  1 none yet, 2 has one, 4 later, 8 earlier
//!   3 persist      bytes key
//!   4 rename       bytes from, bytes to, u8 if_missing
//!   5 copy         bytes from, bytes to, u8 replaces
//!   6 flush
//! query    u8 question, then by question:
//!   1 exists       list of bytes key
//!   2 dbsize
//!   3 type         bytes key
//!   4 deadline     bytes key, u8 is_relative, u8 in_ms
//!   5 random_key   u64 seed
//!   6 keys         bytes pattern
//!   7 scan         u64 position, u64 group, u64 groups_len, u64 count,
//!                  list of at most one bytes pattern, list of at most one
//!                  bytes type
//!   8 encoding     bytes key
//!   9 refcount     bytes key
//!  10 idletime     bytes key
//!  11 memory_usage bytes key
//!  12 frequency    bytes key
//!  13 versions     list of bytes key
//!  14 in_slot      u64 slot
//!  15 some_in_slot u64 slot, u64 len_max
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{Reader, push_bytes, push_i64, push_list, push_u64};
use crate::operation::key::{DeadlineForm, ExpireCondition, KeyCommand, KeyQuery, KeyScan, When};

const DEL: u8 = 1;
const EXPIRE: u8 = 2;
const PERSIST: u8 = 3;
const RENAME: u8 = 4;
const COPY: u8 = 5;
const FLUSH: u8 = 6;

const EXISTS: u8 = 1;
const DBSIZE: u8 = 2;
const TYPE: u8 = 3;
const DEADLINE: u8 = 4;
const RANDOM_KEY: u8 = 5;
const KEYS: u8 = 6;
const SCAN: u8 = 7;
const ENCODING: u8 = 8;
const REFCOUNT: u8 = 9;
const IDLETIME: u8 = 10;
const MEMORY_USAGE: u8 = 11;
const FREQUENCY: u8 = 12;
const VERSIONS: u8 = 13;
const IN_SLOT: u8 = 14;
const SOME_IN_SLOT: u8 = 15;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &KeyCommand<B>, out: &mut Vec<u8>) {
    match command {
        KeyCommand::Del { keys } => {
            out.push(DEL);
            push_list(out, keys);
        }
        KeyCommand::Expire { key, when, condition } => {
            out.push(EXPIRE);
            push_bytes(out, key);
            let (kind, ms) = match when {
                When::In(ms) => (0, ms),
                When::At(ms) => (1, ms),
            };
            out.push(kind);
            push_i64(out, *ms);
            out.push(condition.bits());
        }
        KeyCommand::Persist { key } => {
            out.push(PERSIST);
            push_bytes(out, key);
        }
        KeyCommand::Rename { from, to, if_missing } => {
            out.push(RENAME);
            push_bytes(out, from);
            push_bytes(out, to);
            out.push(u8::from(*if_missing));
        }
        KeyCommand::Copy { from, to, replaces } => {
            out.push(COPY);
            push_bytes(out, from);
            push_bytes(out, to);
            out.push(u8::from(*replaces));
        }
        KeyCommand::Flush => out.push(FLUSH),
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<KeyCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        DEL => KeyCommand::Del { keys: reader.list(Reader::bytes)? },
        EXPIRE => {
            let key = reader.bytes()?;
            let is_absolute = reader.boolean()?;
            let ms = reader.i64()?;
            let when = if is_absolute { When::At(ms) } else { When::In(ms) };
            KeyCommand::Expire { key, when, condition: reader.choice(ExpireCondition::from_bits)? }
        }
        PERSIST => KeyCommand::Persist { key: reader.bytes()? },
        RENAME => KeyCommand::Rename {
            from: reader.bytes()?,
            to: reader.bytes()?,
            if_missing: reader.boolean()?,
        },
        COPY => KeyCommand::Copy {
            from: reader.bytes()?,
            to: reader.bytes()?,
            replaces: reader.boolean()?,
        },
        FLUSH => KeyCommand::Flush,
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &KeyQuery<B>, out: &mut Vec<u8>) {
    let mut of_key = |question: u8, key: &B| {
        out.push(question);
        push_bytes(out, key);
    };
    match query {
        KeyQuery::Type { key } => of_key(TYPE, key),
        KeyQuery::Encoding { key } => of_key(ENCODING, key),
        KeyQuery::RefCount { key } => of_key(REFCOUNT, key),
        KeyQuery::IdleTime { key } => of_key(IDLETIME, key),
        KeyQuery::MemoryUsage { key } => of_key(MEMORY_USAGE, key),
        KeyQuery::Frequency { key } => of_key(FREQUENCY, key),
        KeyQuery::Keys { pattern } => of_key(KEYS, pattern),
        KeyQuery::Deadline { key, form } => {
            of_key(DEADLINE, key);
            out.extend([u8::from(form.is_relative), u8::from(form.in_ms)]);
        }
        KeyQuery::Exists { keys } => {
            out.push(EXISTS);
            push_list(out, keys);
        }
        KeyQuery::DbSize => out.push(DBSIZE),
        KeyQuery::RandomKey { seed } => {
            out.push(RANDOM_KEY);
            push_u64(out, *seed);
        }
        KeyQuery::Scan(scan) => {
            out.push(SCAN);
            push_u64(out, scan.position);
            push_u64(out, scan.group.into());
            push_u64(out, scan.groups_len.into());
            push_u64(out, scan.count);
            push_list(out, scan.pattern.as_slice());
            push_list(out, scan.type_name.as_slice());
        }
        KeyQuery::Versions { keys } => {
            out.push(VERSIONS);
            push_list(out, keys);
        }
        KeyQuery::InSlot { slot, len_max: None } => {
            out.push(IN_SLOT);
            push_u64(out, (*slot).into());
        }
        KeyQuery::InSlot { slot, len_max: Some(len_max) } => {
            out.push(SOME_IN_SLOT);
            push_u64(out, (*slot).into());
            push_u64(out, *len_max);
        }
    }
}

pub(super) fn decode_query<'a>(reader: &mut Reader<'a>) -> Result<KeyQuery<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    Ok(match reader.byte()? {
        EXISTS => KeyQuery::Exists { keys: reader.list(Reader::bytes)? },
        DBSIZE => KeyQuery::DbSize,
        TYPE => KeyQuery::Type { key: reader.bytes()? },
        DEADLINE => KeyQuery::Deadline {
            key: reader.bytes()?,
            form: DeadlineForm { is_relative: reader.boolean()?, in_ms: reader.boolean()? },
        },
        RANDOM_KEY => KeyQuery::RandomKey { seed: reader.u64()? },
        KEYS => KeyQuery::Keys { pattern: reader.bytes()? },
        SCAN => KeyQuery::Scan(Box::new(KeyScan {
            position: reader.u64()?,
            group: small(reader)?,
            groups_len: small(reader)?,
            count: reader.u64()?,
            pattern: optional(reader)?,
            type_name: optional(reader)?,
        })),
        ENCODING => KeyQuery::Encoding { key: reader.bytes()? },
        REFCOUNT => KeyQuery::RefCount { key: reader.bytes()? },
        IDLETIME => KeyQuery::IdleTime { key: reader.bytes()? },
        MEMORY_USAGE => KeyQuery::MemoryUsage { key: reader.bytes()? },
        FREQUENCY => KeyQuery::Frequency { key: reader.bytes()? },
        VERSIONS => KeyQuery::Versions { keys: reader.list(Reader::bytes)? },
        IN_SLOT => KeyQuery::InSlot { slot: small(reader)?, len_max: None },
        SOME_IN_SLOT => KeyQuery::InSlot { slot: small(reader)?, len_max: Some(reader.u64()?) },
        found => return Err(DecodeError::UnknownKind { found, offset }),
    })
}

/// A number of groups or slots; what can't be one is as good as any other.
fn small(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    Ok(u16::try_from(reader.u64()?).unwrap_or(u16::MAX))
}

/// Of a list the last, if it has any.
fn optional<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    Ok(reader.list(Reader::bytes)?.pop())
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    type Command = KeyCommand<&'static [u8]>;
    let k: &'static [u8] = b"k";
    let condition = ExpireCondition::HAS_ONE.and(ExpireCondition::LATER);
    let commands = [
        (
            Command::Del { keys: vec![b"a", b"b"] },
            r"\x02\x02\x01\x02\x00\x00\x00\x01\x00\x00\x00a\x01\x00\x00\x00b",
        ),
        (
            Command::Expire { key: k, when: When::In(-1), condition: ExpireCondition::default() },
            r"\x02\x02\x02\x01\x00\x00\x00k\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00",
        ),
        (
            Command::Expire { key: k, when: When::At(9), condition },
            r"\x02\x02\x02\x01\x00\x00\x00k\x01\t\x00\x00\x00\x00\x00\x00\x00\x06",
        ),
        (Command::Persist { key: k }, r"\x02\x02\x03\x01\x00\x00\x00k"),
        (
            Command::Rename { from: b"a", to: b"b", if_missing: true },
            r"\x02\x02\x04\x01\x00\x00\x00a\x01\x00\x00\x00b\x01",
        ),
        (
            Command::Copy { from: b"a", to: b"b", replaces: false },
            r"\x02\x02\x05\x01\x00\x00\x00a\x01\x00\x00\x00b\x00",
        ),
        (Command::Flush, r"\x02\x02\x06"),
    ];
    let commands = commands.map(|(command, golden)| (command.into(), golden));
    [commands.to_vec(), query_samples()].concat()
}

#[cfg(test)]
fn query_samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    type Query = KeyQuery<&'static [u8]>;
    let k: &'static [u8] = b"k";
    let form = DeadlineForm { is_relative: true, in_ms: false };
    let scan = KeyScan {
        position: 1,
        group: 2,
        groups_len: 3,
        count: 4,
        pattern: Some(&b"*"[..]),
        type_name: None,
    };
    let queries = [
        (Query::Exists { keys: Vec::new() }, r"\x02 \x02\x01\x00\x00\x00\x00"),
        (Query::DbSize, r"\x02 \x02\x02"),
        (Query::Type { key: k }, r"\x02 \x02\x03\x01\x00\x00\x00k"),
        (Query::Deadline { key: k, form }, r"\x02 \x02\x04\x01\x00\x00\x00k\x01\x00"),
        (
            Query::InSlot { slot: 258, len_max: None },
            r"\x02 \x02\x0e\x02\x01\x00\x00\x00\x00\x00\x00",
        ),
        (
            Query::InSlot { slot: 258, len_max: Some(3) },
            r"\x02 \x02\x0f\x02\x01\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00",
        ),
        (Query::RandomKey { seed: 7 }, r"\x02 \x02\x05\x07\x00\x00\x00\x00\x00\x00\x00"),
        (Query::Keys { pattern: b"*" }, r"\x02 \x02\x06\x01\x00\x00\x00*"),
        (
            Query::Scan(Box::new(scan)),
            r"\x02 \x02\x07\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00*\x00\x00\x00\x00",
        ),
        (Query::Encoding { key: k }, r"\x02 \x02\x08\x01\x00\x00\x00k"),
        (Query::RefCount { key: k }, r"\x02 \x02\t\x01\x00\x00\x00k"),
        (Query::IdleTime { key: k }, r"\x02 \x02\n\x01\x00\x00\x00k"),
        (Query::MemoryUsage { key: k }, r"\x02 \x02\x0b\x01\x00\x00\x00k"),
        (Query::Frequency { key: k }, r"\x02 \x02\x0c\x01\x00\x00\x00k"),
        (Query::Versions { keys: vec![b"a"] }, r"\x02 \x02\r\x01\x00\x00\x00\x01\x00\x00\x00a"),
    ];
    queries.map(|(query, golden)| (crate::Command::Query(query.into()), golden)).into()
}
