//! Path patterns of robots.txt: `*` for any text, `$` for the end, equal whatever is percent-encoded.
//!
//! Pattern and path are brought into one spelling in which `*` and `$` mean themselves only as `%2A` and `%24`
//! (RFC 9309 section 2.2.3), so that matching is plain comparison of text.

use serde::{Deserialize, Serialize};

use crate::job::canonical::percent_byte;

/// A pattern in its normal spelling, beginning with `/` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(written: &[u8]) -> Self {
        let (body, anchor) = match written.strip_suffix(b"$") {
            Some(body) => (body, "$"),
            None => (written, ""),
        };
        let mut text = String::with_capacity(written.len() + 1);
        if !matches!(body.first(), Some(b'/' | b'*')) {
            text.push('/');
        }
        push_normal(&mut text, body, true);
        text.push_str(anchor);
        Self(text)
    }

    /// Octets, by which the more specific of two rules is found.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the pattern matches a path in normal spelling from its beginning.
    ///
    /// The pieces between `*` are searched from left to right, each at its first place, which is enough: time
    /// grows with the length of path and pattern, whatever they hold.
    pub(super) fn matches(&self, path: &str) -> bool {
        let (body, anchored) = match self.0.strip_suffix('$') {
            Some(body) => (body, true),
            None => (self.0.as_str(), false),
        };
        let Some((head, tail)) = body.split_once('*') else {
            return if anchored { path == body } else { path.starts_with(body) };
        };
        let Some(mut rest) = path.strip_prefix(head) else { return false };
        let (middle, last) = tail.rsplit_once('*').unwrap_or(("", tail));
        for piece in middle.split('*') {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        if anchored { rest.ends_with(last) } else { rest.contains(last) }
    }
}

/// Normal spelling of a path with query; a fragment, which no server sees, is dropped.
pub(super) fn normalize_path(path_and_query: &str) -> String {
    let path = path_and_query.split('#').next().unwrap_or_default();
    let mut text = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        text.push('/');
    }
    push_normal(&mut text, path.as_bytes(), false);
    text
}

fn push_normal(text: &mut String, bytes: &[u8], star_is_wild: bool) {
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if let Some(decoded) = percent_byte(&bytes[at..]) {
            if is_unreserved(decoded) {
                text.push(char::from(decoded));
            } else {
                push_percent(text, decoded);
            }
            at += 3;
            continue;
        }
        if (byte == b'*' && star_is_wild) || is_unreserved(byte) || is_reserved_literal(byte) || byte == b'%' {
            text.push(char::from(byte));
        } else {
            push_percent(text, byte);
        }
        at += 1;
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The reserved characters of RFC 3986, without `*` and `$`, which mean something in patterns.
fn is_reserved_literal(byte: u8) -> bool {
    b":/?#[]@!&'()+,;=".contains(&byte)
}

fn push_percent(text: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(HEX[usize::from(byte >> 4)]));
    text.push(char::from(HEX[usize::from(byte & 15)]));
}
