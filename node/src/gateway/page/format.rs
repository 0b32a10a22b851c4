//! The forms of a list: JSON lines, one JSON object, or a table of comma-separated values (RFC 4180), chosen by `Accept`.

use crate::gateway::openapi::{Input, Operation, SchemaOf, lines_of, schema_of, text};
use crate::gateway::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use http::header::ACCEPT;
use http::request::Parts;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Format {
    /// One entry a line.
    Lines,
    /// One object with the entries and the cursor.
    Json,
    /// One entry a row; what is no text, number or truth value stands as JSON in its cell.
    Csv,
}

/// A page as one object.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct ListPage<T> {
    /// The entries.
    items: T,
    /// The parameter `cursor` of what follows.
    cursor: String,
    /// Whether the job has ended and nothing follows.
    complete: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Format {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let values = parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self::of(&values.collect::<Vec<_>>().join(","))
    }
}

impl Input for Format {
    fn describe(operation: &mut Operation) {
        operation.may_fail(&[Kind::NotAcceptable]);
    }
}

impl Format {
    /// Every form, in the order of our preference.
    const ALL: [Self; 3] = [Self::Lines, Self::Json, Self::Csv];

    /// As the document names the forms of a list of `T`.
    pub(in crate::gateway) fn content<T: JsonSchema>() -> Vec<(&'static str, SchemaOf)> {
        vec![
            (Self::Lines.media_type(), lines_of::<T>),
            (Self::Json.media_type(), schema_of::<ListPage<Vec<T>>>),
            (Self::Csv.media_type(), text),
        ]
    }

    /// Its media type.
    pub(in crate::gateway) fn media_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Csv => "text/csv",
        }
    }

    /// The form with the highest quality (RFC 9110 section 12.5.1).
    fn of(accept: &str) -> Result<Self, Problem> {
        if accept.trim().is_empty() {
            return Ok(Self::Lines);
        }
        let ranges: Vec<(&str, f32)> = accept.split(',').filter_map(range).collect();
        let quality = |format: Self| {
            let (kind, _) = format.media_type().split_once('/').expect("media types have two parts");
            let matching = ranges.iter().filter_map(|(range, quality)| {
                let rank = match *range {
                    "*/*" => 0,
                    exact if exact.eq_ignore_ascii_case(format.media_type()) => 2,
                    "application/ndjson" | "application/jsonl" if format == Self::Lines => 2,
                    partial if partial.strip_suffix("/*").is_some_and(|part| part.eq_ignore_ascii_case(kind)) => 1,
                    _ => return None,
                };
                Some((rank, *quality))
            });
            matching.max_by_key(|(rank, _)| *rank).map_or(0.0, |(_, quality)| quality)
        };
        let mut best = (None, 0.0);
        for format in Self::ALL {
            let quality = quality(format);
            if quality > best.1 {
                best = (Some(format), quality);
            }
        }
        best.0.ok_or_else(|| {
            let types = Self::ALL.map(Self::media_type).join(", ");
            Problem::new(Kind::NotAcceptable, format!("a list comes as {types}; name one of them in Accept"))
        })
    }

    /// The bytes of a page.
    pub(super) fn body<T: Serialize>(self, entries: &[T], cursor: &str, complete: bool, first: &[&str]) -> Vec<u8> {
        const SAFE: &str = "entries have string keys, and writing to memory does not fail";
        match self {
            Self::Lines => {
                let mut body = Vec::new();
                for entry in entries {
                    serde_json::to_writer(&mut body, entry).expect(SAFE);
                    body.push(b'\n');
                }
                body
            }
            Self::Json => {
                let page = ListPage { items: entries, cursor: cursor.to_owned(), complete };
                serde_json::to_vec(&page).expect(SAFE)
            }
            Self::Csv => table(entries.iter().map(|entry| serde_json::to_value(entry).expect(SAFE)).collect(), first),
        }
    }
}

fn range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((range, quality.map_or(Some(1.0), |quality| quality.parse().ok()).unwrap_or(0.0)))
}

/// A header row and a row for each entry; columns in the order in which they are first seen.
fn table(entries: Vec<Value>, first: &[&str]) -> Vec<u8> {
    let mut columns: Vec<&str> = first.to_vec();
    let mut known: BTreeSet<&str> = first.iter().copied().collect();
    for name in entries.iter().filter_map(Value::as_object).flat_map(|entry| entry.keys()) {
        if known.insert(name) {
            columns.push(name);
        }
    }
    let mut body = String::new();
    row(&mut body, columns.iter().map(|name| (*name).to_owned()));
    for entry in &entries {
        row(&mut body, columns.iter().map(|name| cell(&entry[*name])));
    }
    body.into_bytes()
}

fn row(body: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            body.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            body.push('"');
            body.push_str(&cell.replace('"', "\"\""));
            body.push('"');
        } else {
            body.push_str(&cell);
        }
    }
    body.push_str("\r\n");
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_form_is_chosen_by_quality_and_by_our_preference_among_equals() {
        for (accept, format) in [
            ("", Format::Lines),
            ("*/*", Format::Lines),
            ("application/*", Format::Lines),
            ("application/json", Format::Json),
            ("text/csv, application/json;q=0.5", Format::Csv),
            ("text/html, application/xhtml+xml, */*;q=0.1", Format::Lines),
            ("application/x-ndjson;q=0, */*", Format::Json),
            ("application/jsonl", Format::Lines),
        ] {
            assert_eq!(Format::of(accept).ok(), Some(format), "{accept}");
        }
        for accept in ["text/html", "application/json;q=0", "image/*;q=x"] {
            assert!(Format::of(accept).is_err(), "{accept}");
        }
    }

    #[test]
    fn a_table_has_every_column_and_quotes_what_must_be() {
        let entries = vec![json!({"b": "x,\"y\"", "a": 1}), json!({"a": null, "c": [1, {"d": 2}], "b": "two\nlines"})];
        let text = String::from_utf8(table(entries, &["a"])).expect("text");
        assert_eq!(text, "a,b,c\r\n1,\"x,\"\"y\"\"\",\r\n,\"two\nlines\",\"[1,{\"\"d\"\":2}]\"\r\n");
        assert_eq!(table(Vec::new(), &["url"]), b"url\r\n");
    }
}
