//! Which scripts are known, and what they are.
//!
//! Scripts are not run. But lock libraries can't do without a few: those of the
//! Redis documentation, of redis-py, of Redlock for Node and for Go and their
//! like compare a token, then delete or extend. A script is known by its text,
//! spelt as in one of these up to blanks, comments, quotes and case; it becomes
//! a [`LockStep`], one entry of the log.
//!
//! Invariant: a script that is known does what its text says, to every reply.
//!
//! Not here: the commands that carry scripts (`command/parse/script.rs`).

mod loaded;

use std::sync::LazyLock;

use bytes::Bytes;

use crate::operation::Command;
use crate::operation::lock::{LockCommand, LockStep};
use crate::resp::reply::Reply;
use crate::sha1::sha1;
use crate::{decimal, errors};

pub use loaded::Scripts;

/// A known script by its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script(usize);

struct Known {
    text: &'static str,
    step: LockStep,
    /// Where the lifetime is among the arguments; the token is the first.
    lifetime: Lifetime,
}

#[derive(Clone, Copy)]
enum Lifetime {
    None,
    Second,
    /// The second, to be added unless the third is something else than `0`.
    SecondAdded,
}

/// As their libraries send them.
static KNOWN: &[Known] = &[
    // The Redis documentation, redlock-py, node-redlock before 5, redislock.
    Known {
        text: r#"if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end"#,
        step: LockStep::Release,
        lifetime: Lifetime::None,
    },
    Known {
        text: r#"if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("pexpire",KEYS[1],ARGV[2]) else return 0 end"#,
        step: LockStep::Extend,
        lifetime: Lifetime::Second,
    },
    // redsync.
    Known {
        text: r#"
	local val = redis.call("GET", KEYS[1])
	if val == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	elseif val == false then
		return -1
	else
		return 0
	end
"#,
        step: LockStep::ReleaseHeld,
        lifetime: Lifetime::None,
    },
    // redis-py.
    Known {
        text: "
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    ",
        step: LockStep::Release,
        lifetime: Lifetime::None,
    },
    Known {
        text: r#"
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == "0" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    "#,
        step: LockStep::Prolong,
        lifetime: Lifetime::SecondAdded,
    },
    Known {
        text: "
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('pexpire', KEYS[1], ARGV[2])
        return 1
    ",
        step: LockStep::Extend,
        lifetime: Lifetime::Second,
    },
    // node-redlock 5.
    Known {
        text: r#"
  -- Return 0 if an entry already exists.
  for i, key in ipairs(KEYS) do
    if redis.call("exists", key) == 1 then
      return 0
    end
  end

  -- Create an entry for each provided key.
  for i, key in ipairs(KEYS) do
    redis.call("set", key, ARGV[1], "PX", ARGV[2])
  end

  -- Return the number of entries added.
  return #KEYS
"#,
        step: LockStep::AcquireAll,
        lifetime: Lifetime::Second,
    },
    Known {
        text: r#"
  -- Return 0 if an entry exists with a *different* lock value.
  for i, key in ipairs(KEYS) do
    if redis.call("get", key) ~= ARGV[1] then
      return 0
    end
  end

  -- Update the entry for each provided key.
  for i, key in ipairs(KEYS) do
    redis.call("set", key, ARGV[1], "PX", ARGV[2])
  end

  -- Return the number of entries updated.
  return #KEYS
"#,
        step: LockStep::ExtendAll,
        lifetime: Lifetime::Second,
    },
    Known {
        text: r#"
  local count = 0
  for i, key in ipairs(KEYS) do
    -- Only remove entries for *this* lock value.
    if redis.call("get", key) == ARGV[1] then
      redis.pcall("del", key)
      count = count + 1
    end
  end

  -- Return the number of entries REMOVED.
  return count
"#,
        step: LockStep::ReleaseAll,
        lifetime: Lifetime::None,
    },
];

/// What is compared: of each known script its words and its digest.
static FINGERPRINTS: LazyLock<Vec<(Vec<String>, [u8; 20])>> = LazyLock::new(|| {
    KNOWN.iter().map(|known| (words(known.text), sha1(known.text.as_bytes()))).collect()
});

/// Longer texts are no known script.
const TEXT_BYTES_MAX: usize = 4_096;

impl Script {
    /// The script of this text, if it is known.
    pub(crate) fn of_text(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= TEXT_BYTES_MAX)?;
        let words = words(text);
        FINGERPRINTS.iter().position(|(known, _)| *known == words).map(Self)
    }

    /// The script of this digest, if it is known in exactly that spelling.
    pub(crate) fn of_digest(digest: &[u8; 20]) -> Option<Self> {
        FINGERPRINTS.iter().position(|(_, known)| known == digest).map(Self)
    }

    /// What it does with these keys and arguments.
    ///
    /// # Errors
    /// There are fewer keys or arguments than it uses, or one is no number.
    pub(crate) fn command(
        self,
        keys: Vec<Bytes>,
        arguments: &[Bytes],
    ) -> Result<Command<Bytes>, Reply> {
        let Some(Known { step, lifetime, .. }) = KNOWN.get(self.0) else {
            return Err(Reply::error(errors::NO_SUCH_SCRIPT));
        };
        let is_for_all =
            matches!(step, LockStep::AcquireAll | LockStep::ExtendAll | LockStep::ReleaseAll);
        let (Some(token), true) = (arguments.first(), is_for_all || keys.len() == 1) else {
            return Err(Reply::error(errors::SCRIPT_ARGUMENTS));
        };
        let number = |at: usize| {
            let number = arguments.get(at).and_then(|text| decimal::parse_i64(text));
            number.ok_or_else(|| Reply::error(errors::NOT_AN_INTEGER))
        };
        let lifetime_ms = match lifetime {
            Lifetime::None => 0,
            Lifetime::Second | Lifetime::SecondAdded => number(1)?,
        };
        if lifetime_ms <= 0 && is_for_all && *step != LockStep::ReleaseAll {
            return Err(Reply::error(errors::SCRIPT_LIFETIME));
        }
        let is_replaced = arguments.get(2).is_none_or(|third| third != &b"0"[..]);
        let step = match lifetime {
            Lifetime::SecondAdded if is_replaced => LockStep::ExtendMortal,
            _ => *step,
        };
        let token = token.clone();
        Ok(Command::Lock(Box::new(LockCommand { step, keys, token, lifetime_ms })))
    }
}

/// A script's words: names and numbers in lower case, strings by their content,
/// everything else a character each. Comments and blanks are none.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = if rest.starts_with("--") {
            ("", rest.split_once('\n').map_or("", |(_, behind)| behind))
        } else if first == '"' || first == '\'' {
            let inner = rest.get(1..).unwrap_or_default();
            inner.split_once(first).unwrap_or((inner, ""))
        } else if is_of_name(first) {
            rest.split_at(rest.find(|char| !is_of_name(char)).unwrap_or(rest.len()))
        } else {
            rest.split_at(first.len_utf8())
        };
        if !word.is_empty() && word != ";" {
            words.push(word.to_lowercase());
        }
        rest = behind.trim_start();
    }
    words
}

fn is_of_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scripts_are_told_apart() {
        for (at, known) in KNOWN.iter().enumerate() {
            assert_eq!(Script::of_text(known.text.as_bytes()), Some(Script(at)));
            assert_eq!(Script::of_digest(&sha1(known.text.as_bytes())), Some(Script(at)));
        }
    }

    #[test]
    fn spelling_does_not_matter_and_meaning_does() {
        let release = Some(Script(0));
        for text in [
            "if redis.call('GET', KEYS[1]) == ARGV[1]\nthen\n  return redis.call('DEL', KEYS[1]);\nelse\n  return 0\nend",
            "-- let go\nif redis.call(\"get\",KEYS[1])==ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end",
        ] {
            assert_eq!(Script::of_text(text.as_bytes()), release, "{text}");
        }
        for text in [
            "if redis.call('get',KEYS[1]) == ARGV[2] then return redis.call('del',KEYS[1]) else return 0 end",
            "if redis.call('get',KEYS[1]) ~= ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end",
            "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 1 end",
            "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end return 2",
            "return 1",
            "",
            "\"",
        ] {
            assert_eq!(Script::of_text(text.as_bytes()), None, "{text}");
        }
    }
}
