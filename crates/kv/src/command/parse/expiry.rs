//! Times to live and deadlines among the arguments.
//!
//! A time to live becomes a deadline only when its command is applied, by the
//! log's time there; so whether the sum fits is decided here, for any time that
//! a log can have.

use crate::command::parse::{integer, is};
use crate::operation::response::DataError;
use crate::operation::string::Expiry;
use crate::resp::args::Args;
use crate::resp::reply::Reply;

/// No log's time gets here: the year 3084.
const LOG_TIME_MS_MAX: i64 = 1 << 45;

/// What a time is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
}

/// A time in milliseconds, if that, and the deadline it stands for, fits.
pub(crate) fn to_ms(time: i64, unit: Unit, is_relative: bool) -> Option<i64> {
    let ms = match unit {
        Unit::Seconds => time.checked_mul(1_000)?,
        Unit::Milliseconds => time,
    };
    let ms_max = if is_relative { i64::MAX - LOG_TIME_MS_MAX } else { i64::MAX };
    (ms <= ms_max).then_some(ms)
}

/// What a word among options says of the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpiryWord {
    unit: Unit,
    is_relative: bool,
}

impl ExpiryWord {
    /// `EX`, `PX`, `EXAT` or `PXAT`, a time behind each.
    pub(crate) fn of(option: &[u8]) -> Option<Self> {
        [
            ("ex", Unit::Seconds, true),
            ("px", Unit::Milliseconds, true),
            ("exat", Unit::Seconds, false),
            ("pxat", Unit::Milliseconds, false),
        ]
        .into_iter()
        .find(|(word, ..)| is(Some(option), word))
        .map(|(_, unit, is_relative)| Self { unit, is_relative })
    }

    /// The expiry by the time at `position`.
    ///
    /// # Errors
    /// As a reply, if the time isn't an integer; otherwise why it can't be one
    /// that is given to a key.
    pub(crate) fn expiry(self, args: &Args, position: usize) -> Result<Expiry, InvalidExpiry> {
        let time = integer(args, position).map_err(InvalidExpiry::NotAnInteger)?;
        let ms = to_ms(time, self.unit, self.is_relative).and_then(|ms| u64::try_from(ms).ok());
        let ms = ms.filter(|ms| *ms > 0).ok_or(InvalidExpiry::OutOfRange)?;
        Ok(if self.is_relative { Expiry::In(ms) } else { Expiry::At(ms) })
    }
}

/// Why a time is none that a key can be given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum InvalidExpiry {
    NotAnInteger(Reply),
    OutOfRange,
}

impl InvalidExpiry {
    /// As a refusal by the data: `GETEX` looks at the key first.
    pub(crate) fn of_get_ex(&self) -> DataError {
        match self {
            Self::NotAnInteger(_) => DataError::NotAnInteger,
            Self::OutOfRange => DataError::InvalidGetExExpiry,
        }
    }
}
