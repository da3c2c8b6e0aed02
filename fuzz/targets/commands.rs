//! An entry's bytes: what is read as a command is written again as the same
//! command, two stores that apply it agree, and so does one restored from either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raftlet_fuzz::{HASH_SEED, restored, run, written};

use raftlet::StateMachine;
use raftlet::core::{Index, Term};
use raftlet_kv::{Command, Machine};

fuzz_target!(|data: &[u8]| {
    let payloads = payloads(data);
    for payload in &payloads {
        let command = Command::decode(payload).expect("these only");
        let mut again = Vec::new();
        command.encode(&mut again);
        // A score may be a NaN, which is unequal to itself: its bytes are not.
        let mut third = Vec::new();
        Command::decode(&again).expect("just encoded").encode(&mut third);
        assert_eq!(again, third);
    }
    let mut one = Machine::new(HASH_SEED);
    let mut other = Machine::new(HASH_SEED + 1);
    apply(&mut one, &payloads, 0);
    for (before, payload) in payloads.iter().enumerate() {
        apply(&mut other, std::slice::from_ref(payload), before);
    }
    assert_eq!(one.digest(), other.digest());
    let again = restored(&written(&mut one), 64 << 10).expect("its own state");
    assert_eq!(one.digest(), again.digest());
});

/// The commands in the bytes: each has its length, in two bytes, before it.
fn payloads(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (payload, behind) = behind.split_at(length);
        rest = behind;
        if Command::decode(payload).is_ok() {
            found.push(payload);
        }
    }
    found
}

/// Applies commands behind so many others.
fn apply(machine: &mut Machine, payloads: &[&[u8]], before: usize) {
    let commands: Vec<_> = (before as u64 + 1..)
        .zip(payloads)
        .map(|(index, payload)| raftlet::Command {
            index: Index::new(index),
            term: Term::BOOTSTRAP,
            log_time_ms: 1_000_000 + index,
            payload,
        })
        .collect();
    let mut responses = Vec::new();
    run(machine.apply(&commands, &mut responses)).expect("commands");
    assert_eq!(responses.len(), commands.len());
}
