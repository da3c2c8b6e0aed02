//! Where else a node can be reached: its doors for clients and for operators.
//!
//! ```text
//! client: length u16 · address (UTF-8) · admin: length u16 · address (UTF-8)
//! ```
//!
//! A node introduces itself once, over each connection it dials, as soon as
//! that is established. So a node knows these addresses of every peer that has
//! ever reached it in its run, whatever became of the peer since; they decide
//! nothing and are only shown to clients and operators. An empty text: the
//! node has no such door.
//!
//! Not here: addresses between nodes, which the configuration holds.

use bytes::{BufMut, BytesMut};

use crate::control::ControlError;
use crate::fields::{Cut, Fields};
use raftlet::core::ADDRESS_BYTES_MAX;

/// Where a node is reached by others than its peers, `host:port` each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAddresses {
    /// For clients.
    pub client: String,
    /// For operators.
    pub admin: String,
}

impl NodeAddresses {
    /// The text of an address that no peer would take, if there is one.
    pub(crate) fn oversized(&self) -> Option<&str> {
        [&self.client, &self.admin]
            .into_iter()
            .find(|address| address.len() > ADDRESS_BYTES_MAX)
            .map(String::as_str)
    }

    pub(crate) fn encode(&self, into: &mut BytesMut) {
        for address in [&self.client, &self.admin] {
            into.put_u16_le(u16::try_from(address.len()).expect("checked with the options"));
            into.put_slice(address.as_bytes());
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, ControlError> {
        let what = "introduction";
        Self::read(body)
            .map_err(|Cut| ControlError::Cut { what })?
            .ok_or(ControlError::Unknown { what })
    }

    fn read(body: &[u8]) -> Result<Option<Self>, Cut> {
        let mut fields = Fields::new(body);
        let client = read_address(&mut fields)?;
        let admin = read_address(&mut fields)?;
        let is_whole = fields.remaining() == 0;
        Ok(client.zip(admin).filter(|_| is_whole).map(|(client, admin)| Self { client, admin }))
    }
}

/// `None`: longer than an address, or no text.
fn read_address(fields: &mut Fields<'_>) -> Result<Option<String>, Cut> {
    let bytes = usize::from(fields.u16()?);
    let text = fields.take(bytes)?;
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= ADDRESS_BYTES_MAX);
    Ok(text.filter(|text| !text.contains(char::is_control)).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::{ADDRESS_BYTES_MAX, ControlError, NodeAddresses};

    fn encoded(addresses: &NodeAddresses) -> BytesMut {
        let mut bytes = BytesMut::new();
        addresses.encode(&mut bytes);
        bytes
    }

    #[test]
    fn an_introduction_survives_the_wire_and_no_prefix_or_extension_of_it_passes() {
        let addresses = NodeAddresses { client: "host-1:7379".to_owned(), admin: String::new() };
        let mut bytes = encoded(&addresses);
        assert_eq!(NodeAddresses::decode(&bytes), Ok(addresses));
        for cut in 0..bytes.len() {
            assert!(NodeAddresses::decode(&bytes[..cut]).is_err());
        }
        bytes.put_u8(0);
        assert!(NodeAddresses::decode(&bytes).is_err());
    }

    /// Both end up in replies to clients and on an operator's page.
    #[test]
    fn an_address_too_long_or_with_a_line_break_is_refused() {
        let unknown = Err(ControlError::Unknown { what: "introduction" });
        for client in ["x".repeat(ADDRESS_BYTES_MAX + 1), "a\r\nb:1".to_owned()] {
            let bytes = encoded(&NodeAddresses { client, admin: String::new() });
            assert_eq!(NodeAddresses::decode(&bytes), unknown);
        }
        let not_text = [1, 0, 0xff, 0, 0];
        assert_eq!(NodeAddresses::decode(&not_text), unknown);
    }
}
