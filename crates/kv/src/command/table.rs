//! The commands, a row each, by family in `command/table/`.
//!
//! Flags and categories are those of Redis 7.0, because smart clients route by
//! them. A name is found by one probe into a table of hashes that the compiler
//! has filled; a test holds that every row is found.

mod cluster;
mod connection;
mod hash;
mod key;
mod list;
mod script;
mod server;
mod set;
mod sorted_set;
mod string;
mod transaction;

use crate::command::Row;

/// All families, in the order in which `COMMAND` lists them.
static FAMILIES: &[&[Row]] = &[
    string::ROWS,
    key::ROWS,
    hash::ROWS,
    list::ROWS,
    set::ROWS,
    sorted_set::ROWS,
    transaction::ROWS,
    connection::ROWS,
    server::ROWS,
    script::ROWS,
    cluster::ROWS,
];

/// Longer names are looked up in vain.
const NAME_BYTES_MAX: usize = 32;

/// Places in the table of hashes; a power of two, and at least four times as
/// many as there are commands, so that probes end early.
const PLACES_LEN: usize = 1_024;
const _: () = assert!(rows_len() * 4 <= PLACES_LEN);

pub(super) const ON_CONNECTION: &[&str] = &["noscript", "loading", "stale"];
pub(super) const BEFORE_AUTH: &[&str] =
    &["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
pub(super) const ALWAYS: &[&str] = &["loading", "stale"];
pub(super) const FAST_READ: &[&str] = &["readonly", "fast"];
pub(super) const READ: &[&str] = &["readonly"];
pub(super) const READ_MOVABLE: &[&str] = &["readonly", "movablekeys"];
pub(super) const WRITE: &[&str] = &["write"];
pub(super) const WRITE_MOVABLE: &[&str] = &["write", "movablekeys"];
pub(super) const FAST_WRITE: &[&str] = &["write", "fast"];
pub(super) const GROWTH: &[&str] = &["write", "denyoom"];
pub(super) const GROWTH_MOVABLE: &[&str] = &["write", "denyoom", "movablekeys"];
pub(super) const FAST_GROWTH: &[&str] = &["write", "denyoom", "fast"];
pub(super) const FAST_CONNECTION: &[&str] = &["fast", "connection"];
pub(super) const SLOW_CONNECTION: &[&str] = &["slow", "connection"];

/// All rows, each at the first free place from its name's hash on.
static PLACES: [Option<&Row>; PLACES_LEN] = places();

/// All rows, by family.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

/// The row of a command, by its name in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Row> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut place = hash(name);
    loop {
        let row = PLACES.get(place % PLACES_LEN).copied().flatten()?;
        if is_name_of(row, name) {
            return Some(row);
        }
        place += 1;
    }
}

/// The row of a subcommand, by its name in any case.
pub(crate) fn find_subcommand(container: &Row, name: &[u8]) -> Option<&'static Row> {
    let mut rows = container.subcommands.iter();
    rows.find(|row| row.own_name().as_bytes().eq_ignore_ascii_case(name))
}

/// Names of rows are in lower case.
#[inline]
fn is_name_of(row: &Row, name: &[u8]) -> bool {
    let own = row.name.as_bytes();
    own.len() == name.len() && own.iter().zip(name).all(|(a, b)| *a == b.to_ascii_lowercase())
}

/// Alike for a letter in both cases; below `PLACES_LEN`.
#[expect(clippy::indexing_slicing, reason = "const fn without iterators; bounded by the loop")]
const fn hash(name: &[u8]) -> usize {
    let mut hash = name.len();
    let mut at = 0;
    while at < name.len() {
        hash = hash.wrapping_mul(31).wrapping_add((name[at] | 0x20) as usize);
        at += 1;
    }
    hash % PLACES_LEN
}

const fn rows_len() -> usize {
    let mut len = 0;
    let mut families = FAMILIES;
    while let [family, rest @ ..] = families {
        len += family.len();
        families = rest;
    }
    len
}

#[expect(clippy::indexing_slicing, reason = "const fn; places are taken modulo their number")]
const fn places() -> [Option<&'static Row>; PLACES_LEN] {
    let mut places = [None; PLACES_LEN];
    let mut families = FAMILIES;
    while let [family, rest @ ..] = families {
        families = rest;
        let mut rows = *family;
        while let [row, rest @ ..] = rows {
            rows = rest;
            let mut place = hash(row.name.as_bytes());
            while places[place].is_some() {
                place = (place + 1) % PLACES_LEN;
            }
            places[place] = Some(row);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case() {
        assert_eq!(rows().count(), rows_len());
        for row in rows() {
            assert!(row.name.len() <= NAME_BYTES_MAX, "{}", row.name);
            for name in [row.name.to_owned(), row.name.to_uppercase()] {
                assert!(std::ptr::eq(find(name.as_bytes()).expect("found"), row), "{name}");
            }
            for sub in row.subcommands {
                assert!(sub.name.starts_with(&format!("{}|", row.name)), "{}", sub.name);
                let found = find_subcommand(row, sub.own_name().to_uppercase().as_bytes());
                assert!(std::ptr::eq(found.expect("found"), sub), "{}", sub.name);
            }
        }
        assert!(find(b"").is_none());
        assert!(find(&[b'a'; 1_000]).is_none());
    }
}
