//! `CONFIG GET` and `SET`: settings under Redis's names.
//!
//! Three kinds. *Live* ones change the node until it ends; what it starts with
//! are its flags. *Fixed* ones say in Redis's words what is always so here, such
//! as that every write is on disk before it is acknowledged. *Representation*
//! ones say when Redis changes how it keeps a value; here nothing depends on
//! them, so they are kept and told, and that is all.
//!
//! Invariant: `SET` checks all its pairs before it changes anything.
//!
//! Not here: arguments (`command/parse/server.rs`).

use bytes::Bytes;

use crate::limits::Limits;
use crate::memory::parse_memory;
use crate::node::{Node, Setting};
use crate::resp::reply::Reply;
use crate::{decimal, errors, glob};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fixed(&'static str),
    /// Bytes of one argument, which a flag bounds.
    BulkBytes,
    Memory(Setting),
    /// A number from 0 on.
    Number(Setting),
    /// A number and what it is until it is set; of the names of one meaning
    /// each has the number of the first.
    Representation(u8, i64),
}

static SETTINGS: &[(&str, Kind)] = &[
    ("appendfsync", Kind::Fixed("always")),
    ("appendonly", Kind::Fixed("yes")),
    ("cluster-enabled", Kind::Fixed("yes")),
    ("databases", Kind::Fixed("1")),
    ("hash-max-listpack-entries", Kind::Representation(0, 128)),
    ("hash-max-listpack-value", Kind::Representation(1, 64)),
    ("hash-max-ziplist-entries", Kind::Representation(0, 128)),
    ("hash-max-ziplist-value", Kind::Representation(1, 64)),
    ("list-compress-depth", Kind::Representation(2, 0)),
    ("list-max-listpack-size", Kind::Representation(3, -2)),
    ("list-max-ziplist-size", Kind::Representation(3, -2)),
    ("maxclients", Kind::Number(Setting::ClientsMax)),
    ("maxmemory", Kind::Memory(Setting::MemoryBytesMax)),
    ("maxmemory-policy", Kind::Fixed("noeviction")),
    ("proto-max-bulk-len", Kind::BulkBytes),
    ("save", Kind::Fixed("")),
    ("set-max-intset-entries", Kind::Representation(4, 512)),
    ("timeout", Kind::Number(Setting::ClientIdleS)),
    ("zset-max-listpack-entries", Kind::Representation(5, 128)),
    ("zset-max-listpack-value", Kind::Representation(6, 64)),
    ("zset-max-ziplist-entries", Kind::Representation(5, 128)),
    ("zset-max-ziplist-value", Kind::Representation(6, 64)),
];

/// `CONFIG GET pattern [pattern ...]`
pub(crate) fn get(patterns: &[Bytes], limits: &Limits, node: &mut dyn Node) -> Reply {
    let is_asked = |name: &str| {
        patterns.iter().any(|it| glob::matches(&it.to_ascii_lowercase(), name.as_bytes()))
    };
    let asked = SETTINGS.iter().filter(|(name, _)| is_asked(name));
    let told = asked.map(|(name, kind)| {
        let value = match *kind {
            Kind::Fixed(value) => value.to_owned(),
            Kind::BulkBytes => limits.bulk_bytes_max.to_string(),
            Kind::Memory(setting) | Kind::Number(setting) => {
                node.setting(setting).unwrap_or_default().to_string()
            }
            Kind::Representation(number, default) => {
                node.setting(Setting::Representation(number)).unwrap_or(default).to_string()
            }
        };
        (Reply::bulk_static(name), Reply::Bulk(value.into()))
    });
    Reply::Map(told.collect())
}

/// `CONFIG SET parameter value [parameter value ...]`
pub(crate) fn set(pairs: &[(Bytes, Bytes)], node: &mut dyn Node) -> Reply {
    match checked(pairs) {
        Err(refusal) => refusal,
        Ok(changes) => {
            for (name, setting, value) in changes {
                if !node.set_setting(setting, value) {
                    return errors::config_set_failed(name, "this node can't be set to that");
                }
            }
            Reply::OK
        }
    }
}

fn checked(pairs: &[(Bytes, Bytes)]) -> Result<Vec<(&'static str, Setting, i64)>, Reply> {
    let mut changes: Vec<(&'static str, Setting, i64)> = Vec::new();
    for (name, value) in pairs {
        let found = SETTINGS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        let Some((name, kind)) = found else {
            return Err(errors::unknown_setting(name));
        };
        if changes.iter().any(|(earlier, ..)| earlier == name) {
            return Err(errors::config_set_failed(name, "duplicate parameter"));
        }
        let refuse = |why| errors::config_set_failed(name, why);
        let number = || {
            decimal::parse_i64(value)
                .ok_or_else(|| refuse("argument couldn't be parsed into an integer"))
        };
        changes.push(match *kind {
            // To set what is so already changes nothing.
            Kind::Fixed(fixed) if fixed.as_bytes().eq_ignore_ascii_case(value) => continue,
            Kind::Fixed(_) | Kind::BulkBytes => return Err(refuse("can't set immutable config")),
            Kind::Memory(setting) => {
                let bytes = parse_memory(value).and_then(|bytes| i64::try_from(bytes).ok());
                (*name, setting, bytes.ok_or_else(|| refuse("argument must be a memory value"))?)
            }
            Kind::Number(setting) => match number()? {
                value @ 0..=2_147_483_647 => (*name, setting, value),
                _ => return Err(refuse("argument must be between 0 and 2147483647 inclusive")),
            },
            Kind::Representation(place, _) => (*name, Setting::Representation(place), number()?),
        });
    }
    Ok(changes)
}
