//! A block of addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3), for the operator's list of private networks that may be crawled.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of IPv4 or IPv6 addresses, such as `10.1.0.0/16`; a lone address is a block of one.
///
/// IPv4 and IPv6 never match each other: `::ffff:10.1.0.1` is not in `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

/// Why a text is not a [`Cidr`]; the text is the operator's, nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// The part before the slash is no IP address.
    #[error(
        "\"{text}\" is not an address block: write an IP address, a slash and a number of bits, such as 10.0.0.0/8 or fd00::/8"
    )]
    Address {
        /// What was written.
        text: String,
    },
    /// The part after the slash is no number of bits of such an address.
    #[error("\"{text}\" has a bad length after the slash: it must be a whole number from 0 to {most}")]
    Length {
        /// What was written.
        text: String,
        /// Bits of an address of this family.
        most: u8,
    },
    /// The address has bits set beyond the length, so that two readings are possible.
    #[error("\"{text}\" has bits set beyond its length: did you mean {meant}?")]
    HostBits {
        /// What was written.
        text: String,
        /// The block that contains the address.
        meant: Cidr,
    },
}

impl Cidr {
    /// Whether `address` lies in this block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address, self.prefix_bits) == self.network
            }
            _ => false,
        }
    }
}

fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address { text: text.to_owned() })?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match length {
            None => most,
            Some(length) => length
                .parse::<u8>()
                .ok()
                .filter(|bits| *bits <= most && length.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| CidrError::Length { text: text.to_owned(), most })?,
        };
        let block = Self { network: masked(address, prefix_bits), prefix_bits };
        if block.network != address {
            return Err(CidrError::HostBits { text: text.to_owned(), meant: block });
        }
        Ok(block)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect("a good block")
    }

    #[test]
    fn a_block_contains_its_first_and_last_address_and_no_neighbour() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("192.168.4.0/22", ["192.168.4.0", "192.168.7.255"], ["192.168.3.255", "192.168.8.0"]),
            ("fd00::/8", ["fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], ["fc00::", "fe00::"]),
        ] {
            for address in inside {
                assert!(cidr(block).contains(address.parse().unwrap()), "{address} in {block}");
            }
            for address in outside {
                assert!(!cidr(block).contains(address.parse().unwrap()), "{address} not in {block}");
            }
        }
    }

    #[test]
    fn the_whole_address_space_and_a_single_address_are_blocks() {
        assert!(cidr("0.0.0.0/0").contains("203.0.113.9".parse().unwrap()));
        assert!(!cidr("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(cidr("::/0").contains("::1".parse().unwrap()));
        assert_eq!(cidr("127.0.0.1").to_string(), "127.0.0.1/32");
        assert_eq!(cidr("::1").to_string(), "::1/128");
    }

    #[test]
    fn a_mapped_address_is_not_in_the_ipv4_block() {
        assert!(!cidr("10.0.0.0/8").contains("::ffff:10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn bad_blocks_say_what_is_wrong_and_what_to_write() {
        for (text, expected) in [
            ("ten/8", "is not an address block"),
            ("", "is not an address block"),
            ("010.0.0.0/8", "is not an address block"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("fd00::/129", "from 0 to 128"),
            ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
            ("fd12::1/16", "did you mean fd12::/16?"),
        ] {
            let error = text.parse::<Cidr>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
