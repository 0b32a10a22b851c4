//! The query of a read and of a listing, checked by name.

use crate::gateway::openapi::{Input, Operation, Parameter, boolean, text};
use crate::gateway::page::limit_of;
use crate::gateway::problem::{Kind, Problem};
use crate::kv::{Consistency, Cursor, LARGEST_LISTING};
use axum::extract::FromRequestParts;
use http::request::Parts;
use schemars::json_schema;
use scrapering_core::kv::UserKey;
use std::borrow::Cow;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// Entries in one listing unless asked otherwise.
const USUAL_LISTING: usize = 500;

/// `?consistency=&watch=`
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct ReadQuery {
    /// How fresh the answer must be.
    pub(in crate::gateway) consistency: Consistency,
    /// Events instead of the value.
    pub(in crate::gateway) watch: bool,
}

/// `?prefix=&limit=&cursor=&watch=`
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct ListQuery {
    /// What the keys begin with.
    pub(in crate::gateway) prefix: String,
    /// Most entries.
    pub(in crate::gateway) limit: usize,
    /// Where to begin.
    pub(in crate::gateway) cursor: Option<Cursor>,
    /// Events instead of a listing.
    pub(in crate::gateway) watch: bool,
}

/// `?prefix=&limit=&cursor=` of what cannot be watched.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct QuietListQuery(pub(in crate::gateway) ListQuery);

impl<S: Send + Sync> FromRequestParts<S> for QuietListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        parameters(query, &["prefix", "limit", "cursor"])?;
        ListQuery::of(query).map(Self)
    }
}

impl Input for QuietListQuery {
    fn describe(operation: &mut Operation) {
        ListQuery::describe_listing(operation);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ReadQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

impl Input for ReadQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query(
            "consistency",
            "`any` reads one copy, which may be old.",
            |_| json_schema!({"enum": ["strong", "any"], "default": "strong"}),
        ));
        operation.take(Parameter::query("watch", "Events instead of the value.", boolean));
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

impl Input for ListQuery {
    fn describe(operation: &mut Operation) {
        Self::describe_listing(operation);
        operation.take(Parameter::query("watch", "Events instead of a listing.", boolean));
    }
}

impl ListQuery {
    fn describe_listing(operation: &mut Operation) {
        operation.take(Parameter::query(
            "prefix",
            "What the keys begin with.",
            |_| json_schema!({"type": "string", "maxLength": UserKey::MAX_BYTES}),
        ));
        operation.take(Parameter::query(
            "limit",
            "Most entries.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": LARGEST_LISTING, "default": USUAL_LISTING}),
        ));
        operation.take(Parameter::query("cursor", "Where to begin: `next` of an earlier answer.", text));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

impl ReadQuery {
    fn of(query: &str) -> Result<Self, Problem> {
        let given = parameters(query, &["consistency", "watch"])?;
        let consistency = match given.get("consistency").map(AsRef::as_ref) {
            None | Some("strong") => Consistency::Strong,
            Some("any") => Consistency::Any,
            Some(_) => return Err(wrong("consistency must be strong or any")),
        };
        let watch = watch(&given)?;
        if watch && consistency == Consistency::Any {
            return Err(wrong("a watch is always strong; leave consistency out"));
        }
        Ok(Self { consistency, watch })
    }
}

impl ListQuery {
    fn of(query: &str) -> Result<Self, Problem> {
        let given = parameters(query, &["prefix", "limit", "cursor", "watch"])?;
        let prefix = given.get("prefix").map(|prefix| prefix.clone().into_owned()).unwrap_or_default();
        if prefix.len() > UserKey::MAX_BYTES {
            return Err(wrong(&format!("prefix may have {} bytes, as a key", UserKey::MAX_BYTES)));
        }
        let limit = limit_of(given.get("limit").map(AsRef::as_ref), USUAL_LISTING, LARGEST_LISTING)?;
        let cursor = given.get("cursor").filter(|cursor| !cursor.is_empty()).map(|cursor| cursor.parse()).transpose();
        let cursor =
            cursor.map_err(|error: crate::kv::CursorError| Problem::new(Kind::BadCursor, error.to_string()))?;
        let watch = watch(&given)?;
        if watch && (cursor.is_some() || given.contains_key("limit")) {
            return Err(wrong("a watch has neither limit nor cursor; it goes on from the header Last-Event-ID"));
        }
        Ok(Self { prefix, limit, cursor, watch })
    }
}

fn watch(given: &BTreeMap<String, Cow<'_, str>>) -> Result<bool, Problem> {
    match given.get("watch").map(AsRef::as_ref) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong("watch must be true or false")),
    }
}

/// The parameters by name: only these, each once.
pub(in crate::gateway) fn parameters<'query>(
    query: &'query str,
    known: &[&str],
) -> Result<BTreeMap<String, Cow<'query, str>>, Problem> {
    let mut given = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let shown: String = name.chars().take(64).collect();
        if !known.contains(&name.as_ref()) {
            let known = known.join(", ");
            return Err(wrong(&format!("there is no parameter \"{shown}\" here; there are {known}")));
        }
        if given.insert(name.into_owned(), value).is_some() {
            return Err(wrong(&format!("the parameter \"{shown}\" comes twice")));
        }
    }
    Ok(given)
}

fn wrong(detail: &str) -> Problem {
    Problem::new(Kind::InvalidParameter, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_with_their_defaults() {
        let read = |query| ReadQuery::of(query).expect(query);
        assert_eq!(read(""), ReadQuery { consistency: Consistency::Strong, watch: false });
        assert_eq!(read("consistency=any"), ReadQuery { consistency: Consistency::Any, watch: false });
        assert_eq!(read("watch=true"), ReadQuery { consistency: Consistency::Strong, watch: true });
        let list = ListQuery::of("prefix=a%2Fb&limit=7").expect("list");
        assert_eq!(list, ListQuery { prefix: "a/b".to_owned(), limit: 7, cursor: None, watch: false });
        assert_eq!(ListQuery::of("").expect("list").limit, USUAL_LISTING);
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for query in ["consistency=weak", "watch=1", "consistency=any&watch=true", "x=1", "watch=true&watch=true"] {
            assert!(ReadQuery::of(query).is_err(), "{query}");
        }
        let long = format!("prefix={}", "a".repeat(513));
        for query in ["limit=0", "limit=1001", "limit=x", "cursor=%", "key=a", "watch=true&limit=3", &long] {
            assert!(ListQuery::of(query).is_err(), "{query}");
        }
    }
}
