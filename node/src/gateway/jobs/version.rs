//! `ETag` and `If-Match` of a job or a schedule: a change that is made only if nobody has changed it meanwhile.

use crate::gateway::openapi::{Input, Operation, Parameter};
use crate::gateway::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::header::IF_MATCH;
use http::request::Parts;
use schemars::json_schema;

/// The version that it must have, if the caller names one.
pub(in crate::gateway) struct IfMatch(pub(in crate::gateway) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IF_MATCH).iter();
        let version = match (values.next(), values.next()) {
            (None, _) => Some(None),
            (Some(value), None) => value.to_str().ok().map(str::trim).and_then(version),
            (Some(_), Some(_)) => None,
        };
        version.map(Self).ok_or_else(|| {
            let detail =
                "If-Match must be the ETag that a read gave, once: a version in double quotes, such as \"7\"; or *";
            Problem::new(Kind::InvalidHeader, detail)
        })
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation) {
        let says = "The ETag that a read gave: the change is made only if nothing has changed since.";
        operation.take(Parameter::header(
            "if-match",
            says,
            |_| json_schema!({"type": "string", "pattern": "^(\\*|\"[0-9]{1,19}\")$"}),
        ));
        operation.may_fail(&[Kind::InvalidHeader, Kind::PreconditionFailed]);
    }
}

/// The inner option is none for `*`, which any version matches.
fn version(tag: &str) -> Option<Option<u64>> {
    if tag == "*" {
        return Some(None);
    }
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())).map(Some)
}

/// The `ETag` of a version.
pub(in crate::gateway) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_its_etag_and_nothing_else() {
        assert_eq!((version("\"7\""), version("*")), (Some(Some(7)), Some(None)));
        for bad in ["7", "\"7", "W/\"7\"", "\"+7\"", "\"\"", "\"7\",\"8\"", "\"18446744073709551616\""] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
