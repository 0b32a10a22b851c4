//! The key-value store's registers: which names they have, where they live, and what they hold.
//!
//! A key of tenant T is the register `kv/T/KEY`, placed by its whole name: keys spread evenly over all partitions.
//! Names reach disks as they are, so that a prefix can be listed in order; contents are sealed like every value.

use crate::id::{Key, Partition};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::str::FromStr;

/// What the names of all registers of the key-value store begin with.
pub const PREFIX: &[u8] = b"kv/";

/// A key as its user writes it: 1 to [`UserKey::MAX_BYTES`] bytes of UTF-8 that a URL can carry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(String);

/// Why a text is no key. Its user is at fault; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserKeyError {
    /// Empty or too long.
    #[error("a key has 1 to {} bytes, and this one has {found}", UserKey::MAX_BYTES)]
    Length {
        /// Its bytes.
        found: usize,
    },
    /// URLs cannot carry it: clients resolve such segments before they send anything (RFC 3986 section 5.2.4).
    #[error("no part of a key between slashes may be \".\" or \"..\": URLs cannot carry it")]
    DotSegment,
    /// Control characters.
    #[error("a key holds no control characters")]
    Control,
}

impl UserKey {
    /// Longest key, bytes.
    pub const MAX_BYTES: usize = 512;

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserKey {
    type Err = UserKeyError;

    fn from_str(text: &str) -> Result<Self, UserKeyError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(UserKeyError::Length { found: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(UserKeyError::Control);
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(UserKeyError::DotSegment);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The register of `tenant`'s `key`. A tenant's name holds no slash.
#[must_use]
pub fn register(tenant: &str, key: &UserKey) -> Key {
    let name = name(tenant, key.as_str());
    Key::new(Partition::of(&name), name)
}

/// What the names of `tenant`'s registers begin with whose keys begin with `prefix`.
#[must_use]
pub fn name(tenant: &str, prefix: &str) -> Vec<u8> {
    [PREFIX, tenant.as_bytes(), b"/", prefix.as_bytes()].concat()
}

/// The key of `tenant` in a register's name; `None` if the register is somebody else's or something else.
#[must_use]
pub fn key_of<'name>(tenant: &str, name: &'name [u8]) -> Option<&'name str> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix(tenant.as_bytes())?.strip_prefix(b"/")?;
    std::str::from_utf8(rest).ok()
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Media type, at most [`Value::MAX_TYPE_BYTES`] bytes; empty if none was given.
    pub content_type: String,
    /// At most [`Value::MAX_BYTES`] bytes.
    pub content: Bytes,
}

/// Bytes that are no value, or of a format newer than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored value has an unknown format or is damaged")]
pub struct ValueError;

/// Format 1: `01`, length of the media type (1 byte), media type, content.
const FORMAT: u8 = 1;

impl Value {
    /// Largest content, bytes.
    pub const MAX_BYTES: usize = 1024 * 1024;
    /// Longest media type, bytes.
    pub const MAX_TYPE_BYTES: usize = 255;
    /// What a register adds at most.
    pub const MAX_OVERHEAD_BYTES: usize = 2 + Self::MAX_TYPE_BYTES;

    /// The bytes of a register's content.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        debug_assert!(self.content.len() <= Self::MAX_BYTES && self.content_type.len() <= Self::MAX_TYPE_BYTES);
        let mut bytes = BytesMut::with_capacity(2 + self.content_type.len() + self.content.len());
        bytes.put_u8(FORMAT);
        bytes.put_u8(self.content_type.len().min(Self::MAX_TYPE_BYTES) as u8);
        bytes.extend_from_slice(self.content_type.as_bytes());
        bytes.extend_from_slice(&self.content);
        bytes.freeze()
    }

    /// The value in a register's content; shares its memory.
    ///
    /// # Errors
    /// [`ValueError`] for anything that [`Value::encode`] does not write.
    pub fn decode(bytes: &Bytes) -> Result<Self, ValueError> {
        let [FORMAT, length, rest @ ..] = bytes.as_ref() else { return Err(ValueError) };
        let content_type = rest.get(..usize::from(*length)).ok_or(ValueError)?;
        let content_type = std::str::from_utf8(content_type).map_err(|_| ValueError)?.to_owned();
        Ok(Self { content: bytes.slice(2 + content_type.len()..), content_type })
    }
}

// The largest value must fit into a register.
const _: () = assert!(Value::MAX_BYTES + Value::MAX_OVERHEAD_BYTES <= crate::register::MAX_CONTENT_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_any_text_that_a_url_can_carry() {
        let longest = "é".repeat(UserKey::MAX_BYTES / 2);
        for good in ["a", "a/b", "/", "a//b/", "...", "a..b", "naïve key?#%", &longest] {
            assert_eq!(good.parse::<UserKey>().map(|key| key.to_string()), Ok(good.to_owned()));
        }
        let too_long = longest.clone() + "x";
        for (bad, error) in [
            ("", UserKeyError::Length { found: 0 }),
            (too_long.as_str(), UserKeyError::Length { found: 513 }),
            ("..", UserKeyError::DotSegment),
            ("a/./b", UserKeyError::DotSegment),
            ("a\nb", UserKeyError::Control),
        ] {
            assert_eq!(bad.parse::<UserKey>(), Err(error));
        }
    }

    #[test]
    fn a_tenant_finds_its_own_keys_and_nobody_elses() {
        let key: UserKey = "a/b".parse().expect("key");
        let register = register("team", &key);
        assert_eq!(register.name, b"kv/team/a/b");
        assert_eq!(register.partition, Partition::of(&register.name));
        assert_eq!(key_of("team", &register.name), Some("a/b"));
        assert_eq!(key_of("tea", &register.name), None);
        assert_eq!(key_of("team", b"lock/team/a"), None);
        assert!(register.name.starts_with(&name("team", "a/")));
        assert!(register.name.len() <= Key::MAX_NAME_BYTES);
    }

    #[test]
    fn a_value_is_read_back_and_anything_else_is_refused() {
        for (content_type, content) in [("", &b""[..]), ("text/plain", b"x"), (&"t".repeat(255), b"\x01\x00")] {
            let value = Value { content_type: content_type.to_owned(), content: Bytes::copy_from_slice(content) };
            assert_eq!(Value::decode(&value.encode()), Ok(value));
        }
        for bytes in [&b""[..], b"\x01", b"\x02\x00x", b"\x01\x05abc", b"\x01\x01\xff"] {
            assert_eq!(Value::decode(&Bytes::copy_from_slice(bytes)), Err(ValueError), "{bytes:?}");
        }
    }
}
