//! Arguments of commands on sorted sets.
//!
//! Not here: ranges (`parse/range.rs`), combinations (`parse/combination.rs`).

use bytes::Bytes;

use crate::command::parse::collection::{count_option, counted_keys, pick, pop_count, scan};
use crate::command::parse::{Parsed, is, read, required, syntax_error, write};
use crate::errors;
use crate::operation::sorted_set::{
    AddIf, AddReply, AddRule, AddTo, Direction, SortedSetChange, SortedSetCommand, SortedSetQuery,
    SortedSetQuestion,
};
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::value::score::Score;

pub(super) fn ask(args: &Args, question: SortedSetQuestion<Bytes>) -> Parsed {
    read(SortedSetQuery::One { key: required(args, 1), question })
}

pub(super) fn change(args: &Args, change: SortedSetChange<Bytes>) -> Parsed {
    write(SortedSetCommand::One { key: required(args, 1), change })
}

fn score(args: &Args, position: usize) -> Result<Score, Reply> {
    let score = args.get(position).and_then(Score::parse);
    score.ok_or_else(|| Reply::error(errors::collection::NOT_A_FLOAT))
}

/// `ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]`
pub(crate) fn zadd(args: &Args) -> Parsed {
    let mut options = AddOptions::default();
    let mut position = 2;
    while args.get(position).is_some_and(|word| options.take(word)) {
        position += 1;
    }
    let words_len = args.len() - position;
    if words_len == 0 || !words_len.is_multiple_of(2) {
        return Err(syntax_error());
    }
    let rule = options.rule()?;
    if rule.reply == AddReply::Sum && words_len > 2 {
        return Err(Reply::error(errors::collection::ONE_INCREMENT));
    }
    let mut members = Vec::with_capacity(words_len / 2);
    while position < args.len() {
        members.push((score(args, position)?, required(args, position + 1)));
        position += 2;
    }
    change(args, SortedSetChange::Add { rule, members })
}

/// Options in any order and number.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each was named or it wasn't")]
struct AddOptions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl AddOptions {
    /// Whether the word is an option.
    fn take(&mut self, word: &[u8]) -> bool {
        let options = [
            ("nx", &mut self.nx),
            ("xx", &mut self.xx),
            ("gt", &mut self.gt),
            ("lt", &mut self.lt),
            ("ch", &mut self.ch),
            ("incr", &mut self.incr),
        ];
        for (name, is_named) in options {
            if word.eq_ignore_ascii_case(name.as_bytes()) {
                *is_named = true;
                return true;
            }
        }
        false
    }

    fn rule(&self) -> Result<AddRule, Reply> {
        if self.nx && self.xx {
            return Err(Reply::error(errors::collection::NEW_OR_EXISTING));
        }
        if [self.nx, self.gt, self.lt].into_iter().filter(|is_named| *is_named).count() > 1 {
            return Err(Reply::error(errors::collection::GREATER_OR_LESS));
        }
        let members = match (self.nx, self.xx) {
            (true, _) => AddTo::New,
            (_, true) => AddTo::Existing,
            _ => AddTo::Any,
        };
        let scores = match (self.gt, self.lt) {
            (true, _) => AddIf::Greater,
            (_, true) => AddIf::Less,
            _ => AddIf::Any,
        };
        let reply = match (self.incr, self.ch) {
            (true, _) => AddReply::Sum,
            (_, true) => AddReply::Changed,
            _ => AddReply::Added,
        };
        Ok(AddRule { members, scores, reply })
    }
}

pub(crate) fn zincrby(args: &Args) -> Parsed {
    let members = vec![(score(args, 2)?, required(args, 3))];
    let rule = AddRule { reply: AddReply::Sum, ..AddRule::default() };
    change(args, SortedSetChange::Add { rule, members })
}

pub(crate) fn zrem(args: &Args) -> Parsed {
    change(args, SortedSetChange::Remove(args.bytes_from(2).collect()))
}

pub(crate) fn zscore(args: &Args) -> Parsed {
    ask(args, SortedSetQuestion::Score(required(args, 2)))
}

pub(crate) fn zmscore(args: &Args) -> Parsed {
    ask(args, SortedSetQuestion::ScoreEach(args.bytes_from(2).collect()))
}

pub(crate) fn zcard(args: &Args) -> Parsed {
    ask(args, SortedSetQuestion::Len)
}

pub(crate) fn zrank(args: &Args) -> Parsed {
    let member = required(args, 2);
    ask(args, SortedSetQuestion::Rank { member, direction: Direction::Upwards })
}

pub(crate) fn zrevrank(args: &Args) -> Parsed {
    let member = required(args, 2);
    ask(args, SortedSetQuestion::Rank { member, direction: Direction::Downwards })
}

pub(crate) fn zrandmember(args: &Args) -> Parsed {
    ask(args, SortedSetQuestion::Random(pick(args, Some("withscores"))?))
}

pub(crate) fn zscan(args: &Args) -> Parsed {
    ask(args, SortedSetQuestion::Scan(scan(args)?))
}

pub(crate) fn zpopmin(args: &Args) -> Parsed {
    pop(args, Direction::Upwards)
}

pub(crate) fn zpopmax(args: &Args) -> Parsed {
    pop(args, Direction::Downwards)
}

fn pop(args: &Args, direction: Direction) -> Parsed {
    if args.len() > 3 {
        return Err(syntax_error());
    }
    change(args, SortedSetChange::Pop { direction, count: pop_count(args, 2)? })
}

/// `ZMPOP numkeys key [key ...] MIN|MAX [COUNT count]`
pub(crate) fn zmpop(args: &Args) -> Parsed {
    let (keys, behind) = counted_keys(args, 1)?;
    let direction = match args.get(behind) {
        word if is(word, "min") => Direction::Upwards,
        word if is(word, "max") => Direction::Downwards,
        _ => return Err(syntax_error()),
    };
    let count = count_option(args, behind + 1)?;
    write(SortedSetCommand::PopFirst { keys, direction, count })
}
