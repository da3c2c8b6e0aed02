//! Claims about every command of every family.

use super::*;
use crate::operation::string::StringCommand;

fn samples() -> Vec<(Command<&'static [u8]>, &'static str)> {
    let tick = (Command::Tick, r"\x02!");
    let seed = (Command::Seed(7), r"\x02#\x07\x00\x00\x00\x00\x00\x00\x00");
    [
        string::samples(),
        key::samples(),
        hash::samples(),
        list::samples(),
        set::samples(),
        sort::samples(),
        sorted_set_samples::samples(),
        transaction::samples(),
        lock::samples(),
        vec![tick, seed],
    ]
    .concat()
}

fn encoded(command: &Command<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out);
    out
}

#[test]
fn every_command_reads_back_as_it_was_written() {
    for (command, _) in samples() {
        assert_eq!(Command::decode(&encoded(&command)), Ok(command));
    }
}

/// Entries written by one build are applied by another (rule 45).
#[test]
fn the_bytes_of_version_2_never_change() {
    for (command, golden) in samples() {
        assert_eq!(encoded(&command).escape_ascii().to_string(), golden, "{command:?}");
    }
}

#[test]
fn a_set_by_itself_has_the_bytes_of_the_command_and_no_other_command_is_one() {
    let mut met = 0;
    for (command, _) in samples() {
        let bytes = encoded(&command);
        let Command::String(StringCommand::Set { key, value }) = command else {
            assert_eq!(decode_set(&bytes), None, "{command:?}");
            continue;
        };
        met += 1;
        let mut out = Vec::new();
        encode_set(key, value, &mut out);
        assert_eq!(out, bytes);
        assert_eq!(decode_set(&bytes), Some((key, value)));
        for end in 0..bytes.len() {
            assert_eq!(decode_set(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(decode_set(&[&bytes[..], b"\0"].concat()), None);
    }
    assert!(met > 0, "no sample is a SET");
}

#[test]
fn a_command_cut_anywhere_or_followed_by_anything_is_refused() {
    for (command, _) in samples() {
        let bytes = encoded(&command);
        for end in 0..bytes.len() {
            let error = Command::decode(&bytes[..end]).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. }), "{error:?}");
        }
        let longer = [&bytes[..], b"\0"].concat();
        let error = DecodeError::Trailing { offset: bytes.len(), extra_bytes: 1 };
        assert_eq!(Command::decode(&longer), Err(error));
    }
}

#[test]
fn unknown_versions_families_and_kinds_are_refused_by_number() {
    for (found, remedy) in [(1, "start a new cluster"), (3, "upgrade this node")] {
        let error = Command::decode(&[found, 1]).unwrap_err();
        assert_eq!(error, DecodeError::UnknownVersion { found });
        assert!(error.to_string().contains(remedy), "{error}");
    }
    let family = |found, offset| Err(DecodeError::UnknownFamily { found, offset });
    let kind = |found, offset| Err(DecodeError::UnknownKind { found, offset });
    assert_eq!(Command::decode(b"\x02\x63"), family(0x63, 1));
    assert_eq!(Command::decode(b"\x02\x20\x63"), family(0x63, 2));
    for family in [STRING, KEY, SET, SORTED_SET] {
        assert_eq!(Command::decode(&[VERSION, family, 0x63]), kind(0x63, 2));
        assert_eq!(Command::decode(&[VERSION, QUERY, family, 0x63]), kind(0x63, 3));
    }
}

#[test]
fn a_transaction_in_a_transaction_is_refused() {
    let inner = Command::Transaction(Box::new(crate::Transaction::<&[u8]> {
        watched: Vec::new(),
        commands: Vec::new(),
    }));
    let outer = Command::Transaction(Box::new(crate::Transaction {
        watched: Vec::new(),
        commands: vec![inner],
    }));
    let error = Command::decode(&encoded(&outer)).unwrap_err();
    assert_eq!(error, DecodeError::UnknownFamily { found: TRANSACTION, offset: 10 });
}

#[test]
fn a_claimed_length_of_4_gib_is_only_a_missing_byte() {
    let error = Command::decode(b"\x02\x02\x01\xff\xff\xff\xff").unwrap_err();
    assert_eq!(error, DecodeError::Truncated { offset: 7, missing_bytes: 4 });
    let error = Command::decode(b"\x02\x01\x01\xff\xff\xff\xffab").unwrap_err();
    assert_eq!(error, DecodeError::Truncated { offset: 7, missing_bytes: 0xffff_fffd });
}
