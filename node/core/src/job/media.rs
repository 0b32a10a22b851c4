//! Media types as answers have them (RFC 9110 section 8.3.1), and the ranges of them that a job takes in.
//!
//! A part of a job's scope; whoever fetches holds answers against it.

use std::collections::BTreeSet;
use std::str::FromStr;

/// Longest range, bytes.
const RANGE_BYTES_MAX: usize = 127;

/// A media type such as `text/html`, or all of one kind such as `text/*`; in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaRange(String);

/// A text that is no [`MediaRange`]; whoever wrote it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no media type; write it without parameters, such as text/html, or text/* for every type that begins so")]
pub struct MediaRangeError;

impl FromStr for MediaRange {
    type Err = MediaRangeError;

    fn from_str(text: &str) -> Result<Self, MediaRangeError> {
        let (kind, subtype) = text.split_once('/').ok_or(MediaRangeError)?;
        if text.len() > RANGE_BYTES_MAX || !is_name(kind) || !(subtype == "*" || is_name(subtype)) {
            return Err(MediaRangeError);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// RFC 6838 section 4.2.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) && text.bytes().all(inner)
}

/// The media types that a job takes in; empty if nobody chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaTypes(BTreeSet<String>);

impl MediaTypes {
    /// Whether nobody chose.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a type, in lower case and without parameters, is one of them.
    #[must_use]
    pub fn hold(&self, essence: &str) -> bool {
        let Some((kind, _)) = essence.split_once('/') else { return false };
        self.0.contains(essence) || self.0.contains(&format!("{kind}/*"))
    }

    /// As an `Accept` header lists them (RFC 9110 section 12.5.1).
    #[must_use]
    pub fn to_accept(&self) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join(",")
    }
}

impl FromIterator<MediaRange> for MediaTypes {
    fn from_iter<I: IntoIterator<Item = MediaRange>>(ranges: I) -> Self {
        Self(ranges.into_iter().map(|range| range.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_type_or_every_type_of_its_kind() {
        let ranges = ["Text/*", "application/JSON"];
        let types: MediaTypes = ranges.iter().map(|text| text.parse::<MediaRange>().expect(text)).collect();
        for (essence, held) in [
            ("text/html", true),
            ("text/csv", true),
            ("application/json", true),
            ("application/ld+json", false),
            ("textual/html", false),
            ("text", false),
            ("", false),
        ] {
            assert_eq!(types.hold(essence), held, "{essence}");
        }
        assert_eq!(types.to_accept(), "application/json,text/*");
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in
            ["", "text", "text/", "/html", "*/*", "*/html", "text/html; charset=x", "text/h tml", "te xt/*", "text/**"]
        {
            assert_eq!(text.parse::<MediaRange>(), Err(MediaRangeError), "{text}");
        }
        assert_eq!(format!("text/{}", "x".repeat(123)).parse::<MediaRange>(), Err(MediaRangeError));
    }
}
