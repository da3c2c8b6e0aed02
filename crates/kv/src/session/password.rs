//! The one password that clients of a node may have to know.
//!
//! Invariant: it shows nowhere, and how long a comparison takes depends on what
//! the client sent only, never on how much of it was right.

use std::hint::black_box;

/// What clients must know to be served.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// A password of these bytes; `None` if there are none.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(bytes.into()))
    }

    /// Whether `candidate` is it.
    pub(crate) fn is(&self, candidate: &[u8]) -> bool {
        let mut difference = u8::from(candidate.len() != self.0.len());
        // Every byte is compared with some byte, whatever was found before.
        for (candidate, own) in candidate.iter().zip(self.0.iter().cycle()) {
            difference = black_box(difference | (candidate ^ own));
        }
        difference == 0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn only_the_very_password_is_the_password() {
        let password = Password::new(b"sesame").expect("not empty");
        assert!(password.is(b"sesame"));
        for other in [&b""[..], b"s", b"sesam", b"sesame!", b"sesamesesame", b"Sesame", b"sesamf"] {
            assert!(!password.is(other), "{}", other.escape_ascii());
        }
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn no_bytes_are_no_password() {
        assert!(Password::new(b"").is_none());
    }
}
