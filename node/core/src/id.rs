//! Identities: rings, nodes, points on the circle, partitions and keys.
//!
//! The circle is Chord's: 160 bits, SHA-1 (Stoica et al., SIGCOMM 2001, section 4). It is cut into a power of
//! two of equal, fixed partitions (Dynamo's strategy 3, SOSP 2007, section 6.2), so a key never changes its
//! partition while nodes come and go.

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::fmt;

/// Which ring a message belongs to. Two rings never talk to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RingId(pub [u8; 16]);

/// A node: SHA-1 of its stable name and the generation of its storage.
///
/// An empty disk is a new generation and so another node: it never speaks for the promises of the old one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// The id of the node `name` (a DNS name) in its `generation`, which counts from 1.
    #[must_use]
    pub fn new(name: &str, generation: u64) -> Self {
        Self(sha1(&[name.as_bytes(), b"#", &generation.to_be_bytes()]))
    }
}

/// A position on the circle of 2^160 points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Point(pub [u8; 20]);

impl Point {
    /// The point of a key: SHA-1 of its bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha1(&[bytes]))
    }

    /// The point `2^exponent` further clockwise, where the finger with that number starts (Chord, table 1).
    ///
    /// `exponent` is below 160.
    #[must_use]
    pub fn plus_power_of_two(self, exponent: u32) -> Self {
        debug_assert!(exponent < 160);
        let mut bytes = self.0;
        let mut index = 19 - (exponent / 8) as usize;
        let mut carry = 1_u16 << (exponent % 8);
        loop {
            carry += u16::from(bytes[index]);
            bytes[index] = carry.to_be_bytes()[1];
            carry >>= 8;
            if carry == 0 || index == 0 {
                return Self(bytes);
            }
            index -= 1;
        }
    }

    /// How far it is clockwise from `self` to `to`, as a number below 2^160.
    #[must_use]
    pub fn distance_to(self, to: Self) -> [u8; 20] {
        let halves = |point: Self| {
            let (high, low) = point.0.split_first_chunk::<4>().expect("there are 20 bytes");
            (u32::from_be_bytes(*high), u128::from_be_bytes(low.try_into().expect("16 are left")))
        };
        let ((from_high, from_low), (to_high, to_low)) = (halves(self), halves(to));
        let (low, borrow) = to_low.overflowing_sub(from_low);
        let high = to_high.wrapping_sub(from_high).wrapping_sub(u32::from(borrow));
        let mut difference = [0; 20];
        difference[..4].copy_from_slice(&high.to_be_bytes());
        difference[4..].copy_from_slice(&low.to_be_bytes());
        difference
    }

    /// Whether `self` lies on the arc from `start` (excluded) clockwise to `end` (included).
    #[must_use]
    pub fn in_half_open_arc(self, start: Self, end: Self) -> bool {
        if start < end { start < self && self <= end } else { self > start || self <= end }
    }

    /// Whether `self` lies strictly inside the arc from `start` clockwise to `end`.
    #[must_use]
    pub fn in_open_arc(self, start: Self, end: Self) -> bool {
        if start < end { start < self && self < end } else { self > start || self < end }
    }
}

/// One of the ring's fixed, equal slices of the circle, counted clockwise from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition(pub u16);

/// How many partitions a ring has; fixed when the ring is made, a power of two up to 32,768.
pub const PARTITIONS: u16 = 256;

impl Partition {
    /// The partition of a placement key: the top bits of its point.
    #[must_use]
    pub fn of(placement: &[u8]) -> Self {
        Self::at(Point::of(placement))
    }

    /// The partition that holds `point`.
    #[must_use]
    pub fn at(point: Point) -> Self {
        let top = u32::from(u16::from_be_bytes([point.0[0], point.0[1]]));
        Self(((top * u32::from(PARTITIONS)) >> 16) as u16)
    }

    /// The last point of the partition, from which its owners are looked for clockwise.
    #[must_use]
    pub fn last_point(self) -> Point {
        let end = (u32::from(self.0) + 1) * (0x1_0000 / u32::from(PARTITIONS)) - 1;
        let mut bytes = [0xff; 20];
        bytes[..2].copy_from_slice(&(end as u16).to_be_bytes());
        Point(bytes)
    }

    /// Every partition, clockwise.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }
}

/// The key of a register: its partition and its name inside the partition.
///
/// Names reach disks unsealed. Those of the frontier are made of hashes and ids (see [`crate::frontier::keys`]); those
/// of the key-value store and of locks are their users' own words, so that a prefix can be listed in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Where the register lives.
    pub partition: Partition,
    /// At most [`Key::MAX_NAME_BYTES`] bytes.
    pub name: Vec<u8>,
}

impl Key {
    /// Longest name, bytes.
    pub const MAX_NAME_BYTES: usize = 1024;

    /// A key in `partition`.
    #[must_use]
    pub fn new(partition: Partition, name: impl Into<Vec<u8>>) -> Self {
        Self { partition, name: name.into() }
    }

    /// The bytes under which the register is stored: partition (2 bytes, big endian), then the name.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.name.len());
        bytes.extend_from_slice(&self.partition.0.to_be_bytes());
        bytes.extend_from_slice(&self.name);
        bytes
    }

    /// The inverse of [`Key::to_bytes`]; `None` for fewer than two bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (partition, name) = bytes.split_first_chunk::<2>()?;
        Some(Self::new(Partition(u16::from_be_bytes(*partition)), name))
    }
}

/// Names one attempt to change a register, so that an unknown outcome can be settled by reading.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct OperationId(pub u128);

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! hex_display {
    ($($id:ident: $shown:expr),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0[..$shown], f)
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0[..$shown], f)
            }
        }
    )+};
}
hex_display!(RingId: 16, NodeId: 6, Point: 20);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/", self.partition)?;
        hex(&self.name, f)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finger_start_carries_over_byte_borders() {
        let mut bytes = [0; 20];
        bytes[18..].copy_from_slice(&[0x00, 0xff]);
        let mut carried = [0; 20];
        carried[18] = 0x01;
        assert_eq!(Point(bytes).plus_power_of_two(0), Point(carried));
        assert_eq!(Point([0xff; 20]).plus_power_of_two(0), Point([0; 20]));
    }

    #[test]
    fn a_distance_borrows_over_byte_borders_and_wraps_around_zero() {
        for exponent in 0..160 {
            let mut power = [0; 20];
            power[19 - exponent as usize / 8] = 1 << (exponent % 8);
            for start in [Point([0; 20]), Point([0xff; 20]), Point([0x80; 20]), Point([0x7f; 20])] {
                assert_eq!(start.distance_to(start.plus_power_of_two(exponent)), power);
            }
        }
    }

    #[test]
    fn every_point_lies_in_the_partition_that_ends_at_or_after_it() {
        for partition in Partition::all() {
            assert_eq!(Partition::at(partition.last_point()), partition);
            let next = partition.last_point().plus_power_of_two(0);
            assert_eq!(Partition::at(next).0, (partition.0 + 1) % PARTITIONS);
        }
    }

    #[test]
    fn arcs_wrap_around_zero() {
        let [low, high] = [Point([1; 20]), Point([0xf0; 20])];
        assert!(Point([0xff; 20]).in_half_open_arc(high, low));
        assert!(low.in_half_open_arc(high, low));
        assert!(!low.in_open_arc(high, low));
        assert!(!Point([0x80; 20]).in_half_open_arc(high, low));
    }

    #[test]
    fn a_new_storage_generation_is_another_node() {
        assert_ne!(NodeId::new("ring-0", 1), NodeId::new("ring-0", 2));
    }
}
