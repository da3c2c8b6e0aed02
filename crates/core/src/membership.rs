//! Who belongs to a group, and the form that takes in the log (§4).
//!
//! A configuration is one set of members, or two while joint (§4.3). It stands
//! in an entry of its own and takes effect when appended, not when committed;
//! truncation brings back the one before (rule 17).
//!
//! Invariants
//! - A node appears once in a set; a set that counts has a voter. Both are
//!   checked where a configuration is made or decoded, never assumed later.
//! - A member is known by node *and* incarnation: a wiped node is a stranger
//!   under its old id (rule 3).
//!
//! Not here: what a majority is (`quorum.rs`), which configuration is in
//! effect at which point of the log (`log.rs`).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use crate::ids::{Incarnation, NodeId};

/// Members of one configuration, both sets of a joint one together.
/// 64 is an order of magnitude above what a group of voters should have and
/// keeps per-member tables small.
pub const MEMBERS_MAX: usize = 64;
/// Bytes of a member's address: a host name has at most 253, a port 5.
pub const ADDRESS_BYTES_MAX: usize = 260;

/// Version where every member has [`PRIORITY_DEFAULT`]: what the first nodes of
/// this program read as well.
const VERSION: u8 = 1;
/// Version with a priority behind each role.
const VERSION_PRIORITIES: u8 = 2;
/// The priority of a member of which nobody says otherwise: room above and
/// below it.
pub const PRIORITY_DEFAULT: u8 = 100;

/// Whether a member counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Counts in every quorum.
    Voter,
    /// Receives the log, counts nowhere (§4.2.1).
    Learner,
}

/// One seat of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The node that holds the seat.
    pub node: NodeId,
    /// The life of its data directory under which it is counted.
    pub incarnation: Incarnation,
    /// Voter or learner.
    pub role: Role,
    /// Who of the voters should lead: the higher, the rather. A preference and
    /// no condition (`leader/preference.rs`).
    pub priority: u8,
    /// Where other members reach it, `host:port`.
    pub address: String,
}

/// Why a set of members is no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// A set without a voter could never decide anything.
    #[error("a configuration needs at least one voter")]
    NoVoter,
    /// Node 0 names nobody.
    #[error("node id 0 names nobody; ids start at 1")]
    NilNode,
    /// Listed twice.
    #[error("node {0} is listed twice")]
    Duplicate(NodeId),
    /// Over the limits of the format.
    #[error("more than {MEMBERS_MAX} members, or an address above {ADDRESS_BYTES_MAX} bytes")]
    TooLarge,
    /// The bytes are not a configuration of a known version.
    #[error("the bytes are no configuration of a version known here")]
    Malformed,
}

/// The members of a group: one set, or two while joint.
///
/// A clone shares them: thousands of groups of the same members hold them once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Configuration(Option<Arc<Sets>>);

/// `outgoing` is empty unless joint.
#[derive(Debug, PartialEq, Eq)]
struct Sets {
    members: Vec<Member>,
    outgoing: Vec<Member>,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("members", &self.members())
            .field("outgoing", &self.outgoing())
            .finish()
    }
}

impl Configuration {
    /// Nobody: what a member knows before its first configuration entry.
    #[must_use]
    pub const fn empty() -> Self {
        Self(None)
    }

    fn of(members: Vec<Member>, outgoing: Vec<Member>) -> Self {
        Self(Some(Arc::new(Sets { members, outgoing })))
    }

    /// A configuration of one set, in the order of node ids.
    ///
    /// # Errors
    /// [`ConfigurationError`] says what is wrong with the set.
    pub fn new(members: Vec<Member>) -> Result<Self, ConfigurationError> {
        Ok(Self::of(checked_set(members)?, Vec::new()))
    }

    /// A joint configuration on the way from `outgoing` to `members` (§4.3).
    ///
    /// # Errors
    /// [`ConfigurationError`] says what is wrong with either set.
    pub fn joint(outgoing: Vec<Member>, members: Vec<Member>) -> Result<Self, ConfigurationError> {
        let joint = Self::of(checked_set(members)?, checked_set(outgoing)?);
        if joint.nodes().count() > MEMBERS_MAX {
            return Err(ConfigurationError::TooLarge);
        }
        Ok(joint)
    }

    /// The members; while joint those of the incoming set.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        self.0.as_ref().map_or(&[], |sets| &sets.members)
    }

    /// The outgoing set; empty unless joint.
    #[must_use]
    pub fn outgoing(&self) -> &[Member] {
        self.0.as_ref().map_or(&[], |sets| &sets.outgoing)
    }

    /// Whether both sets must agree.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing().is_empty()
    }

    /// Whether nobody is known yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Every node of either set, each once, in order of id. Where both sets
    /// have it, the incoming entry.
    pub fn nodes(&self) -> impl Iterator<Item = &Member> {
        let mut all: Vec<&Member> = self.members().iter().collect();
        all.extend(self.outgoing().iter().filter(|out| !contains(self.members(), out.node)));
        all.sort_by_key(|member| member.node);
        all.into_iter()
    }

    /// The seat of `node` in either set, the incoming one first.
    #[must_use]
    pub fn find(&self, node: NodeId) -> Option<&Member> {
        self.members().iter().chain(self.outgoing()).find(|member| member.node == node)
    }

    /// Whether `node` counts in any of the sets.
    #[must_use]
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.members()
            .iter()
            .chain(self.outgoing())
            .any(|member| member.node == node && member.role == Role::Voter)
    }

    /// The priority of `node`, the lowest where it has no seat.
    pub(crate) fn priority(&self, node: NodeId) -> u8 {
        self.find(node).map_or(0, |member| member.priority)
    }

    fn has_priorities(&self) -> bool {
        let mut all = self.members().iter().chain(self.outgoing());
        all.any(|member| member.priority != PRIORITY_DEFAULT)
    }

    /// Appends the encoded form: version, then each set as a count and its
    /// members {node u64, incarnation u128, role u8, priority u8 in version 2,
    /// address length u16, address}, little endian. Version 2 stands only where
    /// some priority is not the default, so equal configurations encode equally.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let has_priorities = self.has_priorities();
        into.put_u8(if has_priorities { VERSION_PRIORITIES } else { VERSION });
        for set in [self.members(), self.outgoing()] {
            into.put_u8(u8::try_from(set.len()).expect("MEMBERS_MAX fits u8"));
            for member in set {
                into.put_u64_le(member.node.get());
                into.put_u128_le(member.incarnation.0);
                into.put_u8(match member.role {
                    Role::Voter => 1,
                    Role::Learner => 2,
                });
                if has_priorities {
                    into.put_u8(member.priority);
                }
                let address = member.address.as_bytes();
                into.put_u16_le(u16::try_from(address.len()).expect("checked at creation"));
                into.put_slice(address);
            }
        }
    }

    /// Reads what [`Configuration::encode`] wrote.
    ///
    /// # Errors
    /// [`ConfigurationError::Malformed`], or what is wrong with the sets.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let malformed = ConfigurationError::Malformed;
        let has_priorities = match bytes.try_get_u8().map_err(|_| malformed)? {
            VERSION => false,
            VERSION_PRIORITIES => true,
            _ => return Err(malformed),
        };
        let members = checked_set(decode_set(&mut bytes, has_priorities).ok_or(malformed)?)?;
        let outgoing = decode_set(&mut bytes, has_priorities).ok_or(malformed)?;
        if !bytes.is_empty() {
            return Err(malformed);
        }
        let decoded = if outgoing.is_empty() {
            Self::of(members, outgoing)
        } else {
            Self::joint(outgoing, members)?
        };
        // One form for each.
        if decoded.has_priorities() == has_priorities { Ok(decoded) } else { Err(malformed) }
    }
}

fn contains(set: &[Member], node: NodeId) -> bool {
    set.iter().any(|member| member.node == node)
}

fn checked_set(mut members: Vec<Member>) -> Result<Vec<Member>, ConfigurationError> {
    if members.len() > MEMBERS_MAX
        || members.iter().any(|member| member.address.len() > ADDRESS_BYTES_MAX)
    {
        return Err(ConfigurationError::TooLarge);
    }
    if !members.iter().any(|member| member.role == Role::Voter) {
        return Err(ConfigurationError::NoVoter);
    }
    members.sort_by_key(|member| member.node);
    let mut seen = BTreeSet::new();
    for member in &members {
        if member.node == NodeId::default() {
            return Err(ConfigurationError::NilNode);
        }
        if !seen.insert(member.node) {
            return Err(ConfigurationError::Duplicate(member.node));
        }
    }
    Ok(members)
}

fn decode_set(bytes: &mut &[u8], has_priorities: bool) -> Option<Vec<Member>> {
    let count = usize::from(bytes.try_get_u8().ok()?);
    let mut members = Vec::with_capacity(count.min(MEMBERS_MAX));
    for _ in 0..count {
        let node = NodeId::new(bytes.try_get_u64_le().ok()?);
        let incarnation = Incarnation(bytes.try_get_u128_le().ok()?);
        let role = match bytes.try_get_u8().ok()? {
            1 => Role::Voter,
            2 => Role::Learner,
            _ => return None,
        };
        let priority = if has_priorities { bytes.try_get_u8().ok()? } else { PRIORITY_DEFAULT };
        let len = usize::from(bytes.try_get_u16_le().ok()?);
        let (address, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        let address = String::from_utf8(address.to_vec()).ok()?;
        members.push(Member { node, incarnation, role, priority, address });
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::{Configuration, ConfigurationError, Member, PRIORITY_DEFAULT, Role};
    use crate::ids::{Incarnation, NodeId};

    fn member(node: u64, role: Role) -> Member {
        Member {
            node: NodeId::new(node),
            incarnation: Incarnation(u128::from(node) << 70 | 7),
            role,
            priority: PRIORITY_DEFAULT,
            address: format!("host-{node}:70"),
        }
    }

    #[test]
    fn a_configuration_survives_its_encoding_and_no_prefix_of_it_passes() {
        for priority in [PRIORITY_DEFAULT, 0, u8::MAX] {
            let third = Member { priority, ..member(3, Role::Voter) };
            let joint = Configuration::joint(
                vec![member(1, Role::Voter), member(2, Role::Voter)],
                vec![third, member(2, Role::Learner)],
            )
            .unwrap();
            let mut bytes = Vec::new();
            joint.encode(&mut bytes);
            assert_eq!(Configuration::decode(&bytes).unwrap(), joint);
            for cut in 0..bytes.len() {
                assert!(Configuration::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn without_priorities_a_configuration_has_the_bytes_it_always_had_and_no_others() {
        let plain = Configuration::new(vec![member(1, Role::Voter)]).unwrap();
        let mut bytes = Vec::new();
        plain.encode(&mut bytes);
        assert_eq!(bytes[0], 1);
        // The same in the form that has a place for priorities.
        let mut other = bytes.clone();
        (other[0], other[1]) = (2, 1);
        other.insert(1 + 1 + 8 + 16 + 1, PRIORITY_DEFAULT);
        assert_eq!(Configuration::decode(&other), Err(ConfigurationError::Malformed));
        other[1 + 1 + 8 + 16 + 1] = 7;
        assert_eq!(Configuration::decode(&other).unwrap().members()[0].priority, 7);
    }

    #[test]
    fn empty_voterless_nil_and_doubled_sets_are_refused_by_name() {
        let refused = |members: Vec<Member>| Configuration::new(members).unwrap_err();
        assert_eq!(refused(vec![]), ConfigurationError::NoVoter);
        assert_eq!(refused(vec![member(1, Role::Learner)]), ConfigurationError::NoVoter);
        assert_eq!(refused(vec![member(0, Role::Voter)]), ConfigurationError::NilNode);
        let twice = vec![member(1, Role::Voter), member(1, Role::Learner)];
        assert_eq!(refused(twice), ConfigurationError::Duplicate(NodeId::new(1)));
    }

    #[test]
    fn the_order_in_which_members_are_listed_does_not_show() {
        let forth = vec![member(1, Role::Voter), member(2, Role::Voter)];
        let back = vec![member(2, Role::Voter), member(1, Role::Voter)];
        assert_eq!(Configuration::new(forth).unwrap(), Configuration::new(back).unwrap());
    }
}
