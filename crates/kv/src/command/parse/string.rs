//! Arguments of commands on strings.

use crate::command::parse::expiry::{ExpiryWord, InvalidExpiry};
use crate::command::parse::{Parsed, integer, is, read, required, syntax_error, write};
use crate::errors;
use crate::operation::string::{
    Expiry, Lcs, LcsForm, SetAnswer, SetCondition, SetOptions, StringCommand, StringQuery,
};
use crate::resp::args::Args;
use crate::resp::reply::Reply;

pub(crate) fn get(args: &Args) -> Parsed {
    read(StringQuery::Get { key: required(args, 1) })
}

pub(crate) fn mget(args: &Args) -> Parsed {
    read(StringQuery::MGet { keys: args.bytes_from(1).collect() })
}

pub(crate) fn strlen(args: &Args) -> Parsed {
    read(StringQuery::StrLen { key: required(args, 1) })
}

pub(crate) fn getrange(args: &Args) -> Parsed {
    let (start, end) = (integer(args, 2)?, integer(args, 3)?);
    read(StringQuery::GetRange { key: required(args, 1), start, end })
}

pub(crate) fn substr(args: &Args) -> Parsed {
    getrange(args)
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]`
pub(crate) fn lcs(args: &Args) -> Parsed {
    let (mut wants_len, mut wants_places, mut has_len, mut len_min) = (false, false, false, 0);
    let mut position = 3;
    while let Some(option) = args.get(position) {
        if is(Some(option), "len") {
            wants_len = true;
        } else if is(Some(option), "idx") {
            wants_places = true;
        } else if is(Some(option), "withmatchlen") {
            has_len = true;
        } else if is(Some(option), "minmatchlen") && args.get(position + 1).is_some() {
            position += 1;
            len_min = integer(args, position)?;
        } else {
            return Err(syntax_error());
        }
        position += 1;
    }
    let form = match (wants_len, wants_places) {
        (true, true) => return Err(Reply::error(errors::LCS_LEN_WITH_IDX)),
        (true, false) => LcsForm::Len,
        (false, true) => LcsForm::Places { len_min, has_len },
        (false, false) => LcsForm::Text,
    };
    let keys = (required(args, 1), required(args, 2));
    read(StringQuery::Lcs(Box::new(Lcs { keys, form })))
}

/// `SET key value [NX | XX | IFEQ value] [GET] [EX s | PX ms | EXAT s |
/// PXAT ms | KEEPTTL]`
pub(crate) fn set(args: &Args) -> Parsed {
    let (key, value) = (required(args, 1), required(args, 2));
    if args.len() == 3 {
        return write(StringCommand::Set { key, value });
    }
    let mut condition = SetCondition::Always;
    let mut answer = SetAnswer::Done;
    let mut keeps = false;
    let mut word: Option<(ExpiryWord, usize)> = None;
    let mut position = 3;
    while let Some(option) = args.get(position) {
        let behind = args.bytes(position + 1);
        let mut takes_one = false;
        match (&condition, behind) {
            (SetCondition::Always | SetCondition::Missing, _) if is(Some(option), "nx") => {
                condition = SetCondition::Missing;
            }
            (SetCondition::Always | SetCondition::Present, _) if is(Some(option), "xx") => {
                condition = SetCondition::Present;
            }
            (SetCondition::Always, Some(expected)) if is(Some(option), "ifeq") => {
                condition = SetCondition::Equal(expected);
                takes_one = true;
            }
            _ if is(Some(option), "get") => answer = SetAnswer::Previous,
            _ if is(Some(option), "keepttl") && word.is_none() => keeps = true,
            (_, Some(_)) => {
                let new = ExpiryWord::of(option).ok_or_else(syntax_error)?;
                // The same word again is as good as once, another is not.
                if keeps || word.is_some_and(|(old, _)| old != new) {
                    return Err(syntax_error());
                }
                word = Some((new, position + 1));
                takes_one = true;
            }
            _ => return Err(syntax_error()),
        }
        position += 1 + usize::from(takes_one);
    }
    let expiry = match word {
        Some(word) => checked_expiry(args, word)?,
        None if keeps => Expiry::Keep,
        None => Expiry::Never,
    };
    let options = Box::new(SetOptions { value, condition, expiry, answer });
    write(StringCommand::SetWith { key, options })
}

fn checked_expiry(args: &Args, (word, position): (ExpiryWord, usize)) -> Result<Expiry, Reply> {
    word.expiry(args, position).map_err(|error| match error {
        InvalidExpiry::NotAnInteger(reply) => reply,
        InvalidExpiry::OutOfRange => errors::invalid_expire_time(args.name()),
    })
}

pub(crate) fn setnx(args: &Args) -> Parsed {
    let options = SetOptions {
        value: required(args, 2),
        condition: SetCondition::Missing,
        expiry: Expiry::Never,
        answer: SetAnswer::Flag,
    };
    set_with(args, options)
}

pub(crate) fn getset(args: &Args) -> Parsed {
    let options = SetOptions {
        value: required(args, 2),
        condition: SetCondition::Always,
        expiry: Expiry::Never,
        answer: SetAnswer::Previous,
    };
    set_with(args, options)
}

pub(crate) fn setex(args: &Args) -> Parsed {
    set_expiring(args, b"ex")
}

pub(crate) fn psetex(args: &Args) -> Parsed {
    set_expiring(args, b"px")
}

fn set_expiring(args: &Args, word: &[u8]) -> Parsed {
    let word = ExpiryWord::of(word).ok_or_else(syntax_error)?;
    let expiry = checked_expiry(args, (word, 2))?;
    let options = SetOptions {
        value: required(args, 3),
        condition: SetCondition::Always,
        expiry,
        answer: SetAnswer::Done,
    };
    set_with(args, options)
}

fn set_with(args: &Args, options: SetOptions<bytes::Bytes>) -> Parsed {
    write(StringCommand::SetWith { key: required(args, 1), options: Box::new(options) })
}

pub(crate) fn mset(args: &Args) -> Parsed {
    write(StringCommand::MSet { pairs: pairs(args)? })
}

pub(crate) fn msetnx(args: &Args) -> Parsed {
    write(StringCommand::MSetNx { pairs: pairs(args)? })
}

fn pairs(args: &Args) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, Reply> {
    if args.len().is_multiple_of(2) {
        let name = String::from_utf8_lossy(args.name()).to_ascii_lowercase();
        return Err(errors::wrong_arity(&name));
    }
    Ok(args.bytes_from(1).step_by(2).zip(args.bytes_from(2).step_by(2)).collect())
}

pub(crate) fn incr(args: &Args) -> Parsed {
    write(StringCommand::IncrBy { key: required(args, 1), by: 1 })
}

pub(crate) fn decr(args: &Args) -> Parsed {
    write(StringCommand::IncrBy { key: required(args, 1), by: -1 })
}

pub(crate) fn incrby(args: &Args) -> Parsed {
    write(StringCommand::IncrBy { key: required(args, 1), by: integer(args, 2)? })
}

pub(crate) fn decrby(args: &Args) -> Parsed {
    let by = integer(args, 2)?.checked_neg();
    let by = by.ok_or_else(|| Reply::error(errors::DECREMENT_OVERFLOW))?;
    write(StringCommand::IncrBy { key: required(args, 1), by })
}

pub(crate) fn incrbyfloat(args: &Args) -> Parsed {
    write(StringCommand::IncrByFloat { key: required(args, 1), by: required(args, 2) })
}

pub(crate) fn append(args: &Args) -> Parsed {
    write(StringCommand::Append { key: required(args, 1), suffix: required(args, 2) })
}

pub(crate) fn setrange(args: &Args) -> Parsed {
    let offset = integer(args, 2)?;
    if offset < 0 {
        return Err(Reply::error(errors::OFFSET_OUT_OF_RANGE));
    }
    // So far no string reaches, and the store says so.
    let offset = u32::try_from(offset).unwrap_or(u32::MAX);
    write(StringCommand::SetRange { key: required(args, 1), offset, part: required(args, 3) })
}

pub(crate) fn getdel(args: &Args) -> Parsed {
    write(StringCommand::GetDel { key: required(args, 1) })
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`
pub(crate) fn getex(args: &Args) -> Parsed {
    let mut persists = false;
    let mut word: Option<(ExpiryWord, usize)> = None;
    let mut position = 2;
    while let Some(option) = args.get(position) {
        if is(Some(option), "persist") && word.is_none() {
            persists = true;
            position += 1;
            continue;
        }
        let new = ExpiryWord::of(option).filter(|_| args.get(position + 1).is_some());
        let new = new.ok_or_else(syntax_error)?;
        if persists || word.is_some_and(|(old, _)| old != new) {
            return Err(syntax_error());
        }
        word = Some((new, position + 1));
        position += 2;
    }
    let expiry = match word {
        Some((word, at)) => word.expiry(args, at).map_err(|error| error.of_get_ex()),
        None if persists => Ok(Expiry::Never),
        // Nothing changes, so nothing needs an entry.
        None => return get(args),
    };
    write(StringCommand::GetEx { key: required(args, 1), expiry })
}

pub(crate) fn delifeq(args: &Args) -> Parsed {
    write(StringCommand::DelIfEq { key: required(args, 1), value: required(args, 2) })
}
