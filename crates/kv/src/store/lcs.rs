//! The longest common subsequence of two strings.

use bytes::Bytes;

use crate::operation::response::{DataError, Response};
use crate::operation::string::LcsForm;
use crate::resp::reply::Reply;

/// Cells of the table that is filled, four bytes each: two strings of 4 KiB.
/// It takes some 30 ms, in which the group does nothing else; Redis allows
/// eight times as much.
const CELLS_MAX: usize = 1 << 24;

/// A piece of both strings: where it starts in either, and its length.
struct Piece {
    left: usize,
    right: usize,
    len: usize,
}

pub(super) fn answer(left: &[u8], right: &[u8], form: LcsForm) -> Result<Response, DataError> {
    let cells = (left.len() + 1).saturating_mul(right.len() + 1);
    if cells > CELLS_MAX {
        return Err(DataError::LcsTooLarge);
    }
    let table = Table::filled(left, right);
    let len = integer(table.at(left.len(), right.len()));
    Ok(match form {
        LcsForm::Len => Response::Integer(i64::from(table.at(left.len(), right.len()))),
        LcsForm::Text => {
            let mut text = Vec::new();
            for piece in table.pieces(left, right).iter().rev() {
                let bytes = left.get(piece.left..piece.left + piece.len);
                text.extend_from_slice(bytes.unwrap_or_default());
            }
            Response::Value(Some(Bytes::from(text)))
        }
        LcsForm::Places { len_min, has_len } => {
            let len_min = usize::try_from(len_min).unwrap_or_default();
            let pieces = table.pieces(left, right);
            let places = pieces.iter().filter(|piece| piece.len >= len_min);
            let places = places.map(|piece| place(piece, has_len)).collect();
            Response::Reply(Reply::Map(vec![
                (Reply::bulk_static("matches"), Reply::Array(places)),
                (Reply::bulk_static("len"), len),
            ]))
        }
    })
}

fn place(piece: &Piece, has_len: bool) -> Reply {
    let range = |start: usize| Reply::Array(vec![count(start), count(start + piece.len - 1)]);
    let mut parts = vec![range(piece.left), range(piece.right)];
    if has_len {
        parts.push(count(piece.len));
    }
    Reply::Array(parts)
}

fn count(len: usize) -> Reply {
    Reply::Integer(i64::try_from(len).unwrap_or(i64::MAX))
}

fn integer(len: u32) -> Reply {
    Reply::Integer(len.into())
}

/// How long the subsequence of every two beginnings is.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn filled(left: &[u8], right: &[u8]) -> Self {
        let width = right.len() + 1;
        let mut table = Self { cells: vec![0; (left.len() + 1) * width], width };
        for (row, byte) in left.iter().enumerate() {
            for (column, other) in right.iter().enumerate() {
                let len = if byte == other {
                    table.at(row, column) + 1
                } else {
                    table.at(row, column + 1).max(table.at(row + 1, column))
                };
                let cell = (row + 1) * width + column + 1;
                if let Some(cell) = table.cells.get_mut(cell) {
                    *cell = len;
                }
            }
        }
        table
    }

    fn at(&self, row: usize, column: usize) -> u32 {
        self.cells.get(row * self.width + column).copied().unwrap_or_default()
    }

    /// Pieces without a gap, the last first. Of several subsequences the one
    /// that Redis finds.
    fn pieces(&self, left: &[u8], right: &[u8]) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut row, mut column) = (left.len(), right.len());
        let mut goes_on = false;
        while row > 0 && column > 0 {
            if left.get(row - 1) == right.get(column - 1) {
                (row, column) = (row - 1, column - 1);
                match pieces.last_mut().filter(|_| goes_on) {
                    Some(piece) => {
                        *piece = Piece { left: row, right: column, len: piece.len + 1 };
                    }
                    None => pieces.push(Piece { left: row, right: column, len: 1 }),
                }
                goes_on = true;
            } else {
                if self.at(row - 1, column) > self.at(row, column - 1) {
                    row -= 1;
                } else {
                    column -= 1;
                }
                goes_on = false;
            }
        }
        pieces
    }
}
