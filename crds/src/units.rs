//! Durations and byte sizes as people write them: `1s`, `1h30m`, `10Mi`.
//!
//! Both keep their value, not their spelling; what is written back is the shortest equal spelling.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SPAN_PATTERN: &str = r"^([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$";
const SPAN_LENGTH_MAX: usize = 43;
const SIZE_PATTERN: &str = r"^[0-9]{1,12}(k|M|G|T|Ki|Mi|Gi|Ti)?$";

/// Suffixes of [`ByteSize`], largest first, so that writing back finds the shortest spelling.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("T", 1_000_000_000_000),
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1_000),
];

/// A length of time, written as hours, minutes, seconds and milliseconds in that order: `1h30m`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes, written as an integer or with a suffix of Kubernetes: `10Mi`, `500k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A text that is not a duration or not a byte size; the caller knows the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error(
        "`{0}` is not a duration; write hours, minutes, seconds and milliseconds in this order, such as `1s`, `250ms` or `1h30m`"
    )]
    Span(String),
    /// Not a byte size.
    #[error(
        "`{0}` is not a size; write bytes as a number or with a suffix (k, M, G, T, Ki, Mi, Gi, Ti), such as `10Mi`"
    )]
    Size(String),
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = || UnitError::Span(excerpt(text));
        // Narrower than jiff's own format, which also knows "1 hour ago", fractions and ISO 8601:
        // the schema's pattern must mean the same.
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'h' | b'm' | b's'));
        if !plain || text.len() > SPAN_LENGTH_MAX || text.split(['h', 'm', 's']).any(|digits| digits.len() > 9) {
            return Err(refused());
        }
        let span: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
        Duration::try_from(span).map(Span).map_err(|_| refused())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total_ms = self.0.as_millis();
        if total_ms == 0 {
            return f.write_str("0s");
        }
        let parts = [
            (total_ms / 3_600_000, "h"),
            (total_ms / 60_000 % 60, "m"),
            (total_ms / 1_000 % 60, "s"),
            (total_ms % 1_000, "ms"),
        ];
        for (amount, unit) in parts {
            if amount > 0 {
                write!(f, "{amount}{unit}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = || UnitError::Size(excerpt(text));
        let digits_end = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, suffix) = text.split_at(digits_end);
        if digits.is_empty() || digits.len() > 12 {
            return Err(refused());
        }
        let amount: u64 = digits.parse().map_err(|_| refused())?;
        let factor = match SIZE_UNITS.iter().find(|(unit, _)| *unit == suffix) {
            Some((_, factor)) => *factor,
            None if suffix.is_empty() => 1,
            None => return Err(refused()),
        };
        amount.checked_mul(factor).map(ByteSize).ok_or_else(refused)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = SIZE_UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match fitting {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// An error message must not carry a megabyte of the user's input back.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as `1s` or `250ms`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(SpanVisitor)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes or a size such as `10Mi`")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": SPAN_LENGTH_MAX,
            "pattern": SPAN_PATTERN,
        })
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }
    // No "type": the API server accepts both only under its own word for it, and a pattern binds strings alone.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": SIZE_PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit_and_combination() {
        let table = [
            ("1s", 1_000),
            ("250ms", 250),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1h2m3s4ms", 3_723_004),
            ("90s", 90_000),
            ("0s", 0),
            ("0ms", 0),
        ];
        for (text, ms) in table {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_durations_are_refused() {
        for text in
            ["", "1", "s", "ms", "-1s", "1.5s", "1 s", "1d", "1s1m", "1s1s", "PT1S", "1s ago", "1234567890s", "１s"]
        {
            assert_eq!(text.parse::<Span>(), Err(UnitError::Span(text.to_owned())));
        }
    }

    #[test]
    fn sizes_are_read_with_binary_and_decimal_suffixes() {
        for (text, bytes) in
            [("0", 0), ("10", 10), ("10Mi", 10 << 20), ("3k", 3_000), ("1Ti", 1 << 40), ("5G", 5_000_000_000)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "Mi", "10mi", "10 Mi", "-1", "1.5Mi", "10MiB", "999999999999Ti"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_back_reads_as_the_same_value() {
        for ms in [0, 1, 999, 1_000, 61_001, 5_400_000, 86_400_000 * 400] {
            let span = Span(Duration::from_millis(ms));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for bytes in [0, 1, 1_000, 1_024, 10 << 20, 1_048_577] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
    }

    #[test]
    fn numbers_are_sizes_but_not_durations() {
        assert_eq!(serde_json::from_str::<ByteSize>("1024").expect("an integer is a size"), ByteSize(1024));
        assert!(serde_json::from_str::<ByteSize>("-1").is_err());
        let error = serde_json::from_str::<Span>("1").expect_err("a bare number has no unit");
        assert!(error.to_string().contains("a duration with its unit"), "{error}");
    }
}
