//! The primitives of the format, written and read.

use crate::operation::codec::DecodeError;

pub(crate) fn push_list<B: AsRef<[u8]>>(out: &mut Vec<u8>, items: &[B]) {
    push_len(out, items.len());
    for item in items {
        push_bytes(out, item);
    }
}

pub(crate) fn push_pairs<B: AsRef<[u8]>>(out: &mut Vec<u8>, pairs: &[(B, B)]) {
    push_len(out, pairs.len());
    for (left, right) in pairs {
        push_bytes(out, left);
        push_bytes(out, right);
    }
}

#[inline]
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    push_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Its bits: every number, infinity and zero reads back as it was.
pub(crate) fn push_f64(out: &mut Vec<u8>, value: f64) {
    push_u64(out, value.to_bits());
}

#[inline]
pub(crate) fn push_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a part of a command is below 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
}

/// Takes a byte string off the front; `None` if it is not wholly there.
#[inline]
pub(crate) fn split_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

/// What is left of an entry.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Where in the entry the next byte stands.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Refuses what follows the command.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(DecodeError::Trailing { offset: self.offset, extra_bytes: self.rest.len() })
    }

    /// Takes the next byte if it is this one.
    pub(crate) fn next_is(&mut self, wanted: u8) -> bool {
        let is_it = self.rest.first() == Some(&wanted);
        if is_it {
            self.rest = self.rest.get(1..).unwrap_or_default();
            self.offset += 1;
        }
        is_it
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// A choice: its byte through `of`, which knows the numbers.
    pub(crate) fn choice<T>(&mut self, of: impl FnOnce(u8) -> Option<T>) -> Result<T, DecodeError> {
        let offset = self.offset;
        let found = self.byte()?;
        of(found).ok_or(DecodeError::UnknownOption { found, offset })
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.choice(|byte| match byte {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, DecodeError> {
        self.u64().map(f64::from_bits)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.len()?;
        self.take(len)
    }

    pub(crate) fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        Ok((self.bytes()?, self.bytes()?))
    }

    /// Every item takes bytes, so the input bounds the list.
    pub(crate) fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        for _ in 0..self.len()? {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn take(&mut self, wanted_bytes: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(wanted_bytes) else {
            let missing_bytes = wanted_bytes.saturating_sub(self.rest.len());
            return Err(DecodeError::Truncated { offset: self.offset, missing_bytes });
        };
        self.rest = rest;
        self.offset += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let truncated = DecodeError::Truncated { offset: self.offset, missing_bytes: N };
        self.take(N)?.try_into().map_err(|_| truncated)
    }

    fn len(&mut self) -> Result<usize, DecodeError> {
        // A length that this target can't hold can't be there either.
        Ok(usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }
}
