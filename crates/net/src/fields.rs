//! Reading little-endian fields off the front of bytes that a peer sent.
//!
//! Invariant: nothing is read past the end and nothing is allocated by a
//! length that a peer claims; what is missing is a [`Cut`].
//!
//! Not here: what the fields mean (`codec.rs`, `handshake.rs`, `control.rs`).

/// The bytes end inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

/// Bytes from a peer, consumed from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Cut> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Cut> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Cut> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Cut> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u128(&mut self) -> Result<u128, Cut> {
        self.array().map(u128::from_le_bytes)
    }

    /// The next `len` bytes, borrowed.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Cut> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes, to be read as fields of their own whose bounds need
    /// no further check.
    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], Cut> {
        let (fixed, rest) = self.rest.split_first_chunk().ok_or(Cut)?;
        self.rest = rest;
        Ok(fixed)
    }

    /// The next `N` numbers of 8 bytes.
    #[inline]
    pub(crate) fn words<const N: usize>(&mut self) -> Result<[u64; N], Cut> {
        let (words, rest) = self.rest.split_at_checked(8 * N).ok_or(Cut)?;
        let words = words.as_chunks::<8>().0.first_chunk::<N>().ok_or(Cut)?;
        self.rest = rest;
        Ok(words.map(u64::from_le_bytes))
    }

    /// How many bytes are left.
    #[inline]
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Cut> {
        self.fixed().copied()
    }
}
