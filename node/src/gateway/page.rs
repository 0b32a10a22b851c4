//! Lists that are read piece by piece: `?cursor=&limit=` in, the entries as `Accept` asks for them and the next cursor out.

mod format;

use super::openapi::{Input, Operation, Parameter, text};
use super::problem::{Kind, Problem};
use crate::crawl::cursor::Cursor;
use crate::crawl::jobs::{JobsError, Page};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
pub(super) use format::Format;
use http::header::{CONTENT_TYPE, LINK, VARY};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use schemars::json_schema;
use serde::Serialize;
use url::form_urlencoded;

/// Where an answer says how to go on.
pub const CURSOR_HEADER: &str = "scrapering-cursor";
/// Where an answer says whether the job has ended and nothing follows.
pub const COMPLETE_HEADER: &str = "scrapering-complete";
/// Most entries in one answer.
pub const LARGEST_PAGE: usize = 1000;
/// Entries in one answer unless asked otherwise.
const USUAL_PAGE: usize = 500;

/// `?cursor=&limit=`, checked.
#[derive(Debug)]
pub(super) struct PageQuery {
    /// Where to begin.
    pub(super) cursor: Cursor,
    /// Most entries.
    pub(super) limit: usize,
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

impl Input for PageQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query("cursor", "Where to begin: what an earlier answer gave.", text));
        operation.take(Parameter::query(
            "limit",
            "About how many entries.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": USUAL_PAGE}),
        ));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

/// The first `limit` of what is left of a list, and the cursor of the last one if more follow.
pub(super) fn piece<T>(
    rest: impl Iterator<Item = T>,
    limit: usize,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let mut found: Vec<T> = rest.take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(cursor);
    (found, next)
}

/// The parameter `limit` as it was given, or the `usual` one.
pub(super) fn limit_of(given: Option<&str>, usual: usize, largest: usize) -> Result<usize, Problem> {
    let limit = given.map_or(Some(usual), |limit| limit.parse().ok());
    limit
        .filter(|limit| (1..=largest).contains(limit))
        .ok_or_else(|| Problem::new(Kind::InvalidParameter, format!("limit must be a number from 1 to {largest}")))
}

impl PageQuery {
    fn of(query: &str) -> Result<Self, Problem> {
        let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
        let (mut cursor, mut limit) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                "cursor" => &mut cursor,
                "limit" => &mut limit,
                other => {
                    let name: String = other.chars().take(64).collect();
                    return Err(wrong(format!("there is no parameter \"{name}\" here; there are cursor and limit")));
                }
            };
            if slot.replace(value).is_some() {
                return Err(wrong(format!("the parameter \"{name}\" comes twice")));
            }
        }
        let limit = limit_of(limit.as_deref(), USUAL_PAGE, LARGEST_PAGE)?;
        let cursor = match cursor {
            None => Cursor::default(),
            Some(text) if text.is_empty() => Cursor::default(),
            Some(text) => text.parse().map_err(|_| Problem::from(JobsError::BadCursor))?,
        };
        Ok(Self { cursor, limit })
    }
}

/// A page in the form that was asked for; `first` are columns that come first in a table.
pub(super) fn response<T: Serialize>(
    path: &str,
    query: &PageQuery,
    format: Format,
    first: &[&str],
    page: &Page<T>,
) -> Response {
    let cursor = page.cursor.to_string();
    let body = format.body(&page.entries, &cursor, page.complete, first);
    let mut response = ([(CONTENT_TYPE, format.media_type()), (VARY, "accept")], body).into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, text: &str| {
        headers.insert(name, HeaderValue::from_str(text).expect("cursors, paths and numbers are visible ASCII"));
    };
    set(HeaderName::from_static(CURSOR_HEADER), &cursor);
    set(HeaderName::from_static(COMPLETE_HEADER), if page.complete { "true" } else { "false" });
    if !page.complete {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", &cursor)
            .append_pair("limit", &query.limit.to_string())
            .finish();
        set(LINK, &format!("<{path}?{query}>; rel=\"next\""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_parameters_a_list_is_read_from_its_beginning() {
        for query in ["", "cursor=", "cursor=&limit=500"] {
            let read = PageQuery::of(query).expect(query);
            assert_eq!((read.cursor.to_string(), read.limit), (Cursor::default().to_string(), USUAL_PAGE));
        }
    }

    #[test]
    fn wrong_parameters_are_refused_by_name() {
        for query in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=ten",
            "limit=",
            "offset=3",
            "limit=1&limit=2",
            "cursor=&cursor=",
        ] {
            let answer = PageQuery::of(query).expect_err(query).into_response();
            assert_eq!(answer.status(), http::StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
