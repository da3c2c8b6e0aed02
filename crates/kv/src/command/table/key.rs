//! Rows of commands on keys, whatever they hold.

use crate::command::parse::{container, key as parse, sort};
use crate::command::table::{ALWAYS, FAST_READ};
use crate::command::{Keys, Row};

/// The argument behind the subcommand.
const SECOND: Keys = Keys::Span { first: 2, last: 2, step: 1 };

pub(super) static ROWS: &[Row] = &[
    Row::new("sort", -2, sort::sort)
        .flags(&["write", "denyoom", "movablekeys"])
        .keys(Keys::Sort)
        .categories(&["write", "set", "sortedset", "list", "slow", "dangerous"])
        .doc("generic", "1.0.0", "Sort the elements in a list, set or sorted set"),
    Row::new("sort_ro", -2, sort::sort_ro)
        .flags(&["readonly", "movablekeys"])
        .keys(Keys::ONE)
        .categories(&["read", "set", "sortedset", "list", "slow", "dangerous"])
        .doc(
            "generic",
            "7.0.0",
            "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
        ),
    Row::new("del", -2, parse::del)
        .flags(&["write"])
        .keys(Keys::ALL)
        .categories(&["keyspace", "write", "slow"])
        .doc("generic", "1.0.0", "Delete a key"),
    Row::new("exists", -2, parse::exists)
        .flags(FAST_READ)
        .keys(Keys::ALL)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "1.0.0", "Determine if a key exists"),
    Row::new("unlink", -2, parse::unlink)
        .flags(&["write", "fast"])
        .keys(Keys::ALL)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "4.0.0", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking."),
    Row::new("type", 2, parse::type_of)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "1.0.0", "Determine the type stored at key"),
    Row::new("touch", -2, parse::touch)
        .flags(FAST_READ)
        .keys(Keys::ALL)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "3.2.1", "Alters the last access time of keys, which is not kept; counts them"),
    Row::new("expire", -3, parse::expire)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "1.0.0", "Set a key's time to live in seconds"),
    Row::new("pexpire", -3, parse::pexpire)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "2.6.0", "Set a key's time to live in milliseconds"),
    Row::new("expireat", -3, parse::expireat)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "1.2.0", "Set the expiration for a key as a UNIX timestamp"),
    Row::new("pexpireat", -3, parse::pexpireat)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds"),
    Row::new("ttl", 2, parse::ttl)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "1.0.0", "Get the time to live for a key in seconds"),
    Row::new("pttl", 2, parse::pttl)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "2.6.0", "Get the time to live for a key in milliseconds"),
    Row::new("expiretime", 2, parse::expiretime)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "7.0.0", "Get the expiration Unix timestamp for a key"),
    Row::new("pexpiretime", 2, parse::pexpiretime)
        .flags(FAST_READ)
        .keys(Keys::ONE)
        .categories(&["keyspace", "read", "fast"])
        .doc("generic", "7.0.0", "Get the expiration Unix timestamp for a key in milliseconds"),
    Row::new("persist", 2, parse::persist)
        .flags(&["write", "fast"])
        .keys(Keys::ONE)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "2.2.0", "Remove the expiration from a key"),
    Row::new("rename", 3, parse::rename)
        .flags(&["write"])
        .keys(Keys::PAIR)
        .categories(&["keyspace", "write", "slow"])
        .doc("generic", "1.0.0", "Rename a key"),
    Row::new("renamenx", 3, parse::renamenx)
        .flags(&["write", "fast"])
        .keys(Keys::PAIR)
        .categories(&["keyspace", "write", "fast"])
        .doc("generic", "1.0.0", "Rename a key, only if the new key does not exist"),
    Row::new("copy", -3, parse::copy)
        .flags(&["write", "denyoom"])
        .keys(Keys::PAIR)
        .categories(&["keyspace", "write", "slow"])
        .doc("generic", "6.2.0", "Copy a key"),
    Row::new("randomkey", 1, parse::randomkey)
        .flags(&["readonly"])
        .categories(&["keyspace", "read", "slow"])
        .doc("generic", "1.0.0", "Return a random key from the keyspace"),
    Row::new("keys", 2, parse::keys)
        .flags(&["readonly"])
        .categories(&["keyspace", "read", "slow", "dangerous"])
        .doc("generic", "1.0.0", "Find all keys matching the given pattern"),
    Row::new("scan", -2, parse::scan)
        .flags(&["readonly"])
        .categories(&["keyspace", "read", "slow"])
        .doc("generic", "2.8.0", "Incrementally iterate the keys space"),
    Row::new("flushall", -1, parse::flushall)
        .flags(&["write"])
        .categories(&["keyspace", "write", "slow", "dangerous"])
        .doc("server", "1.0.0", "Remove all keys from all databases"),
    Row::new("flushdb", -1, parse::flushdb)
        .flags(&["write"])
        .categories(&["keyspace", "write", "slow", "dangerous"])
        .doc("server", "1.0.0", "Remove all keys from the current database"),
    Row::new("dbsize", 1, parse::dbsize)
        .flags(FAST_READ)
        .categories(&["keyspace", "read", "fast"])
        .doc("server", "1.0.0", "Return the number of keys in the selected database"),
    Row::new("object", -2, container)
        .categories(&["slow"])
        .doc("generic", "2.2.3", "A container for object introspection commands")
        .subcommands(OBJECT),
    Row::new("memory", -2, container)
        .categories(&["slow"])
        .doc("server", "4.0.0", "A container for memory diagnostics commands")
        .subcommands(MEMORY),
];

static OBJECT: &[Row] = &[
    Row::new("object|encoding", 3, parse::object_encoding)
        .flags(&["readonly"])
        .keys(SECOND)
        .categories(&["keyspace", "read", "slow"])
        .doc("generic", "2.2.3", "Inspect the internal encoding of a Redis object"),
    Row::new("object|freq", 3, parse::object_freq)
        .flags(&["readonly"])
        .keys(SECOND)
        .categories(&["keyspace", "read", "slow"])
        .doc("generic", "4.0.0", "Get the logarithmic access frequency counter of a Redis object"),
    Row::new("object|help", 2, parse::object_help)
        .flags(ALWAYS)
        .categories(&["keyspace", "slow"])
        .doc("generic", "6.2.0", "Show helpful text about the different subcommands"),
    Row::new("object|idletime", 3, parse::object_idletime)
        .flags(&["readonly"])
        .keys(SECOND)
        .categories(&["keyspace", "read", "slow"])
        .doc("generic", "2.2.3", "Get the time since a Redis object was last accessed"),
    Row::new("object|refcount", 3, parse::object_refcount)
        .flags(&["readonly"])
        .keys(SECOND)
        .categories(&["keyspace", "read", "slow"])
        .doc("generic", "2.2.3", "Get the number of references to the value of the key"),
];

static MEMORY: &[Row] = &[
    Row::new("memory|help", 2, parse::memory_help).flags(ALWAYS).categories(&["slow"]).doc(
        "server",
        "4.0.0",
        "Show helpful text about the different subcommands",
    ),
    Row::new("memory|usage", -3, parse::memory_usage)
        .flags(&["readonly"])
        .keys(SECOND)
        .categories(&["read", "slow"])
        .doc("server", "4.0.0", "Estimate the memory usage of a key"),
];
