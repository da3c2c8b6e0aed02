//! Commands that Redis 7.0 has and raftlet hasn't, and what to use instead.
//!
//! A client that asks for one of these learns more than "unknown command", and
//! never gets an `OK` for something that wasn't done. Leaving this list is one
//! half of adding a command; entering the table the other.

use crate::command::Row;
use crate::errors;
use crate::resp::args::Args;
use crate::resp::reply::Reply;

/// What to use instead, and of which commands, in lower case.
static UNSUPPORTED: &[(&str, &str)] = &[
    (
        "use GETRANGE and SETRANGE on whole bytes",
        "bitcount bitfield bitfield_ro bitop bitpos getbit setbit",
    ),
    ("use GET and SET", "dump restore restore-asking"),
    (
        "nothing here blocks; use LMOVE, LMPOP, LPOP, RPOP or RPOPLPUSH and ask again",
        "blmove blmpop blpop brpop brpoplpush",
    ),
    (
        "nothing here blocks; use ZMPOP, ZPOPMAX or ZPOPMIN and ask again",
        "bzmpop bzpopmax bzpopmin",
    ),
    (
        "use strings, hashes, lists, sets and sorted sets",
        "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember \
         georadiusbymember_ro geosearch geosearchstore pfadd pfcount pfdebug pfmerge \
         pfselftest xack xadd xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange \
         xread xreadgroup xrevrange xsetid xtrim",
    ),
    ("use plain commands, there are no scripts", "eval_ro evalsha_ro fcall fcall_ro"),
    (
        "use a message broker, there are no channels",
        "psubscribe publish pubsub punsubscribe spublish ssubscribe subscribe \
         sunsubscribe unsubscribe",
    ),
    ("use database 0, the only one", "move swapdb"),
    (
        "use any node for any command; `raftlet status` shows who leads",
        "failover replicaof slaveof",
    ),
    ("raftlet replicates by its own protocol", "migrate psync replconf sync"),
    (
        "a write is on a majority's disks before it is acknowledged",
        "bgrewriteaof bgsave lastsave save",
    ),
    ("send SIGTERM to the process", "shutdown"),
    ("use the flags of `raftlet serve`", "module"),
    ("there are no users; bind to an address that only friends reach", "acl"),
    ("use INFO and `raftlet status`", "latency monitor slowlog"),
    ("it serves the tests of Redis itself", "debug"),
    ("it serves no purpose", "lolwut"),
];

/// The same of subcommands, where the table has the container.
static UNSUPPORTED_SUBCOMMANDS: &[(&str, &str)] = &[
    ("no client is ever paused", "client|pause"),
    (
        "slots are dealt to groups at first start, `raftlet status` shows who leads",
        "cluster|addslots cluster|addslotsrange cluster|delslots cluster|delslotsrange \
         cluster|flushslots cluster|setslot cluster|bumpepoch cluster|set-config-epoch \
         cluster|count-failure-reports cluster|failover cluster|replicate cluster|replicas \
         cluster|slaves cluster|saveconfig",
    ),
    (
        "members are added and removed by the operator, see `raftlet --help`",
        "cluster|forget cluster|meet cluster|reset",
    ),
    ("use COMMAND GETKEYS", "command|getkeysandflags"),
    ("use the flags or the file of `raftlet serve`", "config|rewrite"),
    (
        "use plain commands, there are no functions",
        "function|delete function|dump function|kill function|load function|restore function|stats",
    ),
    ("scripts are not run", "script|debug"),
    (
        "use INFO memory and MEMORY USAGE",
        "memory|doctor memory|malloc-stats memory|purge memory|stats",
    ),
];

/// Whether Redis takes a request in no transaction, whatever else it does.
pub(crate) fn is_banned(args: &Args) -> bool {
    const BANNED: &[&str] = &["psync", "save", "shutdown", "sync"];
    BANNED.iter().any(|name| args.name().eq_ignore_ascii_case(name.as_bytes()))
}

/// What to say to a request whose name isn't in the table.
pub(crate) fn refusal(args: &Args) -> Reply {
    match find(UNSUPPORTED, |name| args.name().eq_ignore_ascii_case(name.as_bytes())) {
        Some((name, instead)) => errors::unsupported(&name.to_uppercase(), instead),
        None => errors::unknown_command(args),
    }
}

/// What to say to a subcommand that isn't in the table.
pub(crate) fn subcommand_refusal(container: &Row, name: &[u8]) -> Reply {
    let is_it = |full: &str| {
        let own = full.strip_prefix(container.name).and_then(|rest| rest.strip_prefix('|'));
        own.is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(name))
    };
    match find(UNSUPPORTED_SUBCOMMANDS, is_it) {
        Some((name, instead)) => {
            errors::unsupported(&name.to_uppercase().replace('|', " "), instead)
        }
        None => errors::unknown_subcommand(container.name, name),
    }
}

fn find(
    lists: &'static [(&str, &str)],
    is_it: impl Fn(&str) -> bool,
) -> Option<(&'static str, &'static str)> {
    lists.iter().find_map(|(instead, names)| {
        let name = names.split(' ').find(|name| is_it(name))?;
        Some((name, *instead))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table;

    #[test]
    fn no_command_is_both_supported_and_refused() {
        for (_, names) in UNSUPPORTED {
            for name in names.split(' ') {
                assert!(table::find(name.as_bytes()).is_none(), "{name}");
            }
        }
        for (_, names) in UNSUPPORTED_SUBCOMMANDS {
            for name in names.split(' ') {
                let (container, own) = name.split_once('|').expect("a subcommand");
                let row = table::find(container.as_bytes()).expect("a container");
                assert!(table::find_subcommand(row, own.as_bytes()).is_none(), "{name}");
            }
        }
    }
}
