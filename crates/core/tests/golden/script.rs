//! The language of the scripts.
//!
//! ```text
//! cluster voters=1,2,3 [learners=4] [seed=7] [window-messages=N] [append-bytes=N]
//!         [trailing-bytes=N] [uncommitted-bytes=N] [lease=DRIFT-US]
//! log N terms=1,1,2 [term=2] [vote=1] [commit..]   a member's disk before it starts
//! campaign N                 only N loses patience, and asks for pre-votes
//! elect N                    only N may lose patience, until it leads
//! advance 300ms | 20 election-timeouts
//! deliver [KIND]             all messages, and all that they cause; of a kind
//!                            only those that are under way
//! hold | release             messages stay in the queue | leave at once (default)
//! queue                      prints what is under way
//! drop FROM->TO [KIND] | repeat FROM->TO [KIND] | late KIND   messages in the queue
//! cut A->B | isolate N | heal
//! room N short|enough        N's driver says so in its acks
//! disk N slow|fast|one       writes end when the disk is fast again | the oldest
//! propose N x [y z]          one call
//! forward N L x seq=S [term=T]   N sends a forward to L
//! say FROM->TO KIND ..       a message made by hand arrives (`forge.rs`)
//! read N ID | forget N ID
//! transfer N [M]            N hands leadership over, to M
//! checkpoint N index=I [log=L] [state=S]   what N holds at an index
//! deadline N                 its deadline passes now
//! liveness N of M alive[=RUN]|suspected|unknown
//! join N [incarnation=I]     a node with an empty disk
//! change N voters=1,2 [learners=3] [address.2=A] [incarnation.3=I] [expected=I]
//! ask N L voters=..          N asks L for that | cancel N
//! members [N..]              the configuration in effect
//! damage N last=I held=J     a disk lost what stood behind I, of entries up to J
//! crash N | start N          loses what was not durable | from its disk, a new run
//! release-memory N           all that may leave memory does
//! storage N broken|works     fetches are answered | refused
//! snapshot N [tail=K]        takes one of what is applied, and compacts but for K entries
//! wanted                     who wants snapshots sent since the last time
//! send-snapshot FROM->TO [kept]   FROM's snapshot arrives whole; or the one kept
//! keep-snapshot N            remembers N's current snapshot
//! sending-ended FROM->TO    the leader's driver has given up, or is done
//! show [N..]                 role, term, vote, leader, indexes
//! logs [N..]                 terms of the entries
//! commands N                 applied commands
//! reads | events             answered, and told, since the last time
//! matches [N..]              what a leader counts on from each member
//! counters N NAME..
//! ```

use std::fmt::Write;

use crate::words::{number, option};
use crate::world::World;
use raftlet_core::Index;

/// Runs a script; returns it with what its commands print now.
pub(crate) fn run(text: &str) -> String {
    let mut world: Option<World> = None;
    let mut out = String::new();
    for block in text.split("\n\n") {
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        let block = block.trim_end_matches('\n');
        let commands = block.split("\n----").next().unwrap_or_default();
        out.push_str(commands);
        let mut printed = String::new();
        for line in commands.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                execute(&mut world, line, &mut printed);
            }
        }
        if block.contains("\n----") || !printed.is_empty() {
            write!(out, "\n----\n{}", printed.trim_end()).unwrap();
        }
    }
    while out.ends_with('\n') {
        out.pop();
    }
    out.push('\n');
    out
}

fn execute(world: &mut Option<World>, line: &str, printed: &mut String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (command, args) = words.split_first().unwrap();
    if *command == "cluster" {
        *world = Some(World::new(args));
        return;
    }
    let world = world.as_mut().expect("a script begins with `cluster`");
    if let Err(problem) = run_command(world, command, args, printed) {
        panic!("`{line}`: {problem}");
    }
}

/// `FROM->TO`
fn link(word: &str) -> (u64, u64) {
    let (from, to) = word.split_once("->").unwrap_or_else(|| panic!("`{word}` is no link"));
    (number(from), number(to))
}

fn run_command(
    world: &mut World,
    command: &str,
    args: &[&str],
    printed: &mut String,
) -> Result<(), String> {
    let node = || args.first().map(|word| number(word)).ok_or("which member?");
    match command {
        "log" => world.set_disk(node()?, args),
        "elect" => return world.elect(node()?),
        "campaign" => world.campaign(node()?),
        "advance" => world.advance(duration_ms(args)),
        "deliver" => match args.first() {
            Some(kind) => world.deliver_kind(kind),
            None => world.deliver(),
        },
        "hold" => world.hold = true,
        "release" => {
            world.hold = false;
            world.deliver();
        }
        "queue" => printed.push_str(&world.show_queue()),
        "drop" => {
            let (from, to) = link(args[0]);
            world.drop_messages(from, to, args.get(1).copied());
        }
        "repeat" => {
            let (from, to) = link(args[0]);
            world.repeat_messages(from, to, args.get(1).copied());
        }
        "late" => world.move_to_back(args[0]),
        "cut" => {
            world.cut.insert(link(args[0]));
        }
        "isolate" => world.isolate(node()?),
        "heal" => world.cut.clear(),
        "room" => world.set_room(node()?, args[1] == "short"),
        "disk" if args[1] == "one" => world.finish_write(node()?),
        "disk" => world.set_disk_speed(node()?, args[1] == "slow"),
        "storage" => world.set_storage(node()?, args[1] == "works"),
        "propose" => printed.push_str(&world.propose(node()?, &args[1..])),
        "forward" => world.forward(args),
        "say" => {
            let (from, to) = link(args[0]);
            printed.push_str(&world.say(from, to, &args[1..]));
        }
        "read" => printed.push_str(&world.read(node()?, number(args[1]))),
        "forget" => world.forget(node()?, number(args[1])),
        "transfer" => {
            let to = args.get(1).map(|word| number(word));
            printed.push_str(&world.transfer(node()?, to));
        }
        "checkpoint" => world.checkpoint(node()?, args),
        "deadline" => world.deadline(node()?),
        "liveness" => world.set_liveness(node()?, number(args[2]), args[3]),
        "join" => world.join(node()?, args),
        "change" => printed.push_str(&world.change(node()?, args)),
        "ask" => world.ask(node()?, number(args[1]), args),
        "cancel" => printed.push_str(&world.cancel(node()?)),
        "crash" => world.crash(node()?),
        "start" => world.start(node()?),
        "damage" => {
            let index = |name| Index::new(option(args, name).map_or(0, number));
            world.damage(node()?, index("last"), index("held"));
        }
        "release-memory" => world.release_memory(node()?),
        "snapshot" | "cut-tail" | "send-snapshot" | "keep-snapshot" | "sending-ended" => {
            printed.push_str(&snapshot_command(world, command, args));
        }
        _ => return print_command(world, command, args, printed),
    }
    Ok(())
}

fn snapshot_command(world: &mut World, command: &str, args: &[&str]) -> String {
    match command {
        "snapshot" => {
            let tail = option(args, "tail").map_or(0, number);
            world.snapshot(number(args[0]), tail)
        }
        "cut-tail" => world.cut_tail(number(args[0]), number(args[1])),
        "keep-snapshot" => {
            world.keep_snapshot(number(args[0]));
            String::new()
        }
        "sending-ended" => {
            let (from, to) = link(args[0]);
            world.end_sending(from, to);
            String::new()
        }
        _ => {
            let (from, to) = link(args[0]);
            let is_kept = args.get(1) == Some(&"kept");
            if is_kept { world.send_kept(from, to) } else { world.send_snapshot(from, to, None) }
        }
    }
}

fn print_command(
    world: &mut World,
    command: &str,
    args: &[&str],
    printed: &mut String,
) -> Result<(), String> {
    let named: Vec<u64> =
        args.iter().filter(|a| a.starts_with(char::is_numeric)).map(|a| number(a)).collect();
    let nodes = if named.is_empty() { world.nodes() } else { named };
    match command {
        "show" => nodes.iter().for_each(|node| printed.push_str(&world.show(*node))),
        "matches" => nodes.iter().for_each(|n| printed.push_str(&world.show_matches(*n))),
        "members" => nodes.iter().for_each(|n| printed.push_str(&world.show_members(*n))),
        "logs" => nodes.iter().for_each(|node| printed.push_str(&world.show_log(*node))),
        "commands" => nodes.iter().for_each(|node| printed.push_str(&world.show_commands(*node))),
        "reads" => printed.push_str(&world.take_reads()),
        "events" => printed.push_str(&world.take_events()),
        "wanted" => printed.push_str(&world.take_wanted()),
        "forwards" => printed.push_str(&world.take_forward_replies()),
        "counters" => printed.push_str(&world.show_counters(nodes[0], &args[1..])),
        _ => return Err("no such command".to_owned()),
    }
    Ok(())
}

fn duration_ms(args: &[&str]) -> u64 {
    match args {
        [ms] => number(ms),
        [count, "election-timeouts"] => number(count) * World::ELECTION_TIMEOUT_MS,
        _ => panic!("advance by what?"),
    }
}
