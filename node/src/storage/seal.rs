//! How one value is sealed: format version, key id, nonce, then AES-256-GCM over the value.
//!
//! ```text
//! 0        1            5             17              n        n+16
//! | version | key id BE  | nonce       | ciphertext    | tag     |
//! ```
//! Associated data: table name, 0x00, key, format version; a value moved to another place does not open.

use super::keyring::Keyring;
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use bytes::Bytes;

/// The only format so far.
const FORMAT: u8 = 1;
const NONCE_AT: usize = 5;
const TEXT_AT: usize = NONCE_AT + NONCE_LEN;
const TAG_BYTES: usize = 16;

/// Why bytes from the disk are not a value of this table and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    /// Written by another version of this program.
    #[error("format version {0}")]
    UnknownFormat(u8),
    /// Damaged, moved, or sealed by a key this node does not hold.
    #[error("damaged")]
    Damaged,
}

impl Keyring {
    /// Seals `value` for `key` of `table` with the current data key and a fresh random nonce.
    pub(super) fn seal(&self, table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
        let (id, data_key) = self.current();
        let mut sealed = Vec::with_capacity(TEXT_AT + value.len() + TAG_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&id.to_be_bytes());
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(value);
        let (nonce, tag) = data_key
            .seal_in_place_separate_tag(associated(table, key), &mut sealed[TEXT_AT..])
            .expect("AES-256-GCM seals up to 64 GiB, far above any value");
        sealed[NONCE_AT..TEXT_AT].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`Keyring::seal`] made for the same table and key.
    pub(super) fn open(&self, table: &str, key: &[u8], sealed: &[u8]) -> Result<Bytes, SealError> {
        let (&format, rest) = sealed.split_first().ok_or(SealError::Damaged)?;
        if format != FORMAT {
            return Err(SealError::UnknownFormat(format));
        }
        let (id, rest) = rest.split_first_chunk().ok_or(SealError::Damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
        let data_key = self.key(u32::from_be_bytes(*id)).ok_or(SealError::Damaged)?;
        let mut text = text.to_vec();
        let length = data_key
            .open_in_place(Nonce::from(nonce), associated(table, key), &mut text)
            .map_err(|_| SealError::Damaged)?
            .len();
        text.truncate(length);
        Ok(Bytes::from(text))
    }
}

fn associated(table: &str, key: &[u8]) -> Aad<Vec<u8>> {
    let mut data = Vec::with_capacity(table.len() + key.len() + 2);
    data.extend_from_slice(table.as_bytes());
    data.push(0);
    data.extend_from_slice(key);
    data.push(FORMAT);
    Aad::from(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keyring::tests::ring_of;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_shows_nothing(key in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
            let keyring = ring_of(&[1]);
            let sealed = keyring.seal("registers", &key, &value);
            prop_assert_eq!(sealed.len(), TEXT_AT + value.len() + TAG_BYTES);
            prop_assert_eq!(&keyring.open("registers", &key, &sealed).expect("opens")[..], &value[..]);
            prop_assert!(value.len() < 8 || !sealed.windows(value.len()).any(|part| part == value));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let keyring = ring_of(&[1]);
        let sealed = keyring.seal("registers", b"key", b"a value");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1 << bit;
                let expected = if at == 0 { SealError::UnknownFormat(damaged[0]) } else { SealError::Damaged };
                assert_eq!(keyring.open("registers", b"key", &damaged), Err(expected), "byte {at} bit {bit}");
            }
            assert_eq!(keyring.open("registers", b"key", &sealed[..at]), Err(SealError::Damaged));
        }
    }

    #[test]
    fn a_value_opens_only_in_its_own_place() {
        let keyring = ring_of(&[1]);
        let sealed = keyring.seal("registers", b"key", b"a value");
        for (table, key) in [("registers", &b"other"[..]), ("views", b"key"), ("registers\0k", b"ey")] {
            assert_eq!(keyring.open(table, key, &sealed), Err(SealError::Damaged));
        }
    }

    #[test]
    fn values_of_an_older_data_key_still_open_and_new_ones_use_the_current_key() {
        let old = ring_of(&[1]);
        let both = ring_of(&[1, 2]);
        let sealed = old.seal("views", b"key", b"old");
        assert_eq!(&both.open("views", b"key", &sealed).expect("opens")[..], b"old");
        assert_eq!(old.open("views", b"key", &both.seal("views", b"key", b"new")), Err(SealError::Damaged));
    }

    #[test]
    fn the_same_value_is_never_sealed_the_same_way_twice() {
        let keyring = ring_of(&[1]);
        assert_ne!(keyring.seal("views", b"key", b"same"), keyring.seal("views", b"key", b"same"));
    }
}
