//! The headers of a change: media type, precondition, operation id.

use crate::gateway::openapi::{Input, Operation, Parameter, text};
use crate::gateway::problem::{Kind, Problem};
use crate::kv::Precondition;
use axum::extract::FromRequestParts;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use schemars::json_schema;
use scrapering_core::id::OperationId;
use scrapering_core::kv::Value;

/// Names one attempt to change a key.
pub(in crate::gateway) const OPERATION_HEADER: &str = "operation-id";
/// The same as a name.
pub(in crate::gateway) const OPERATION_ID: HeaderName = HeaderName::from_static(OPERATION_HEADER);

/// The headers of a change, checked but for the precondition.
#[derive(Debug)]
pub(in crate::gateway) struct ChangeHeaders {
    /// Empty if none was given.
    pub(in crate::gateway) content_type: String,
    /// The caller's, or one made here.
    pub(in crate::gateway) operation: OperationId,
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ChangeHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

/// `Operation-Id` alone: the caller's, or one made here.
pub(in crate::gateway) struct OperationHeader(pub(in crate::gateway) OperationId);

impl<S: Send + Sync> FromRequestParts<S> for OperationHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        given_operation(&parts.headers).map(Self)
    }
}

impl Input for OperationHeader {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::header(
            "Operation-Id",
            "Names this change: sent again, it is not done twice.",
            |_| json_schema!({"type": "string", "pattern": "^(?!0{32}$)[0-9a-f]{32}$"}),
        ));
        operation.may_fail(&[Kind::InvalidHeader]);
    }
}

impl Input for ChangeHeaders {
    fn describe(operation: &mut Operation) {
        OperationHeader::describe(operation);
        operation.take(Parameter::header("if-match", "The version that must be there, in double quotes.", text));
        operation.take(Parameter::header("if-none-match", "`*`: the key must hold nothing.", text));
    }
}

fn given_operation(headers: &HeaderMap) -> Result<OperationId, Problem> {
    let Some(text) = one(headers, &OPERATION_ID)? else { return Ok(OperationId(rand::random())) };
    operation(&text)
        .ok_or_else(|| wrong(&OPERATION_ID, "must be 32 hex digits, not all zero, drawn at random for each change"))
}

impl ChangeHeaders {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let content_type = one(headers, &CONTENT_TYPE)?.unwrap_or_default();
        if content_type.len() > Value::MAX_TYPE_BYTES {
            return Err(wrong(&CONTENT_TYPE, &format!("may have {} bytes", Value::MAX_TYPE_BYTES)));
        }
        let operation = given_operation(headers)?;
        let (if_match, if_none_match) = (one(headers, &IF_MATCH)?, one(headers, &IF_NONE_MATCH)?);
        Ok(Self { content_type, operation, if_match, if_none_match })
    }

    /// What must hold for the change to be made.
    pub(in crate::gateway) fn precondition(&self) -> Result<Precondition, Problem> {
        match (self.if_match.as_deref(), self.if_none_match.as_deref()) {
            (None, None) => Ok(Precondition::None),
            (None, Some("*")) => Ok(Precondition::Absent),
            (None, Some(_)) => Err(wrong(&IF_NONE_MATCH, "can only be *: the key must hold nothing")),
            (Some(tag), None) => version(tag).map(Precondition::Version).ok_or_else(|| {
                wrong(&IF_MATCH, "must be one ETag as this gateway gives it: a version in double quotes, such as \"7\"")
            }),
            (Some(_), Some(_)) => Err(wrong(&IF_MATCH, "and If-None-Match exclude each other; send one of them")),
        }
    }

    /// The one version that may be deleted, if only one may.
    pub(in crate::gateway) fn deleted_version(&self) -> Result<Option<u64>, Problem> {
        match self.precondition()? {
            Precondition::None => Ok(None),
            Precondition::Version(version) => Ok(Some(version)),
            Precondition::Absent => {
                Err(wrong(&IF_NONE_MATCH, "has no meaning for DELETE; If-Match: \"VERSION\" deletes one version only"))
            }
        }
    }
}

pub(super) fn wrong(name: &HeaderName, what: &str) -> Problem {
    let words: Vec<String> = name.as_str().split('-').map(capitalised).collect();
    Problem::new(Kind::InvalidHeader, format!("{} {what}", words.join("-")))
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_ascii_uppercase() + rest
}

pub(super) fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim().to_owned())),
        _ => Err(wrong(name, "must come once, in visible ASCII characters")),
    }
}

fn operation(text: &str) -> Option<OperationId> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|number| is_hex && *number != 0);
    number.map(OperationId)
}

fn version(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("value"))).collect()
    }

    #[test]
    fn preconditions_are_read_from_their_headers() {
        for (pairs, expected) in [
            (vec![], Precondition::None),
            (vec![("if-match", "\"7\"")], Precondition::Version(7)),
            (vec![("if-none-match", "*")], Precondition::Absent),
        ] {
            let read = ChangeHeaders::of(&headers(&pairs)).expect("headers").precondition();
            assert_eq!(read.ok(), Some(expected));
        }
        for pairs in [
            vec![("if-match", "7")],
            vec![("if-match", "W/\"7\"")],
            vec![("if-match", "\"7\", \"8\"")],
            vec![("if-match", "*")],
            vec![("if-match", "\"+7\"")],
            vec![("if-none-match", "\"7\"")],
            vec![("if-match", "\"7\""), ("if-none-match", "*")],
        ] {
            assert!(ChangeHeaders::of(&headers(&pairs)).expect("headers").precondition().is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn an_operation_id_is_32_hex_digits_or_made_here() {
        let id = "00112233445566778899aabbccddeeff";
        let read = ChangeHeaders::of(&headers(&[("operation-id", id)])).expect("headers");
        assert_eq!(format!("{:032x}", read.operation.0), id);
        let made = || ChangeHeaders::of(&headers(&[])).expect("headers").operation;
        assert_ne!(made(), made());
        for bad in ["", "7", &"0".repeat(32), "+0112233445566778899aabbccddeeff", &"ab".repeat(17)] {
            assert!(ChangeHeaders::of(&headers(&[("operation-id", bad)])).is_err(), "{bad}");
        }
    }
}
