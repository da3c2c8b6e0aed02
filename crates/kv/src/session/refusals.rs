//! What a connection refused to do, counted.
//!
//! Plain numbers: who wants them takes them and adds them up.

/// What one connection refused to do, as far as somebody may want to count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Passwords that were not the password.
    pub wrong_passwords: u64,
    /// Requests refused because the memory for data is used up.
    pub out_of_memory: u64,
    /// Transactions and watches over their limits.
    pub transactions_too_big: u64,
    /// Replies over their limit, answered by an error.
    pub replies_too_big: u64,
    /// Input that was over a limit; the connection was closed for it.
    pub requests_too_big: u64,
    /// Input that made no sense; the connection was closed for it.
    pub protocol_errors: u64,
}

impl std::ops::Add for Refusals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            wrong_passwords: self.wrong_passwords.wrapping_add(other.wrong_passwords),
            out_of_memory: self.out_of_memory.wrapping_add(other.out_of_memory),
            transactions_too_big: self
                .transactions_too_big
                .wrapping_add(other.transactions_too_big),
            replies_too_big: self.replies_too_big.wrapping_add(other.replies_too_big),
            requests_too_big: self.requests_too_big.wrapping_add(other.requests_too_big),
            protocol_errors: self.protocol_errors.wrapping_add(other.protocol_errors),
        }
    }
}
