//! From one place on a page to one value: the text that stands there, its pattern and transforms, and what it is converted to.

use std::borrow::Cow;
use std::fmt;

use scraper::ElementRef;
use scrapering_core::job::resolve;
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use super::budget::Meter;
use super::compile::Kind;
use super::scope::Scope;
use super::transform::Steps;
use super::{ExtractError, date, json, number, text};

/// Why a field has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The selector found nothing.
    NoMatch,
    /// What it found does not have the attribute, or is not of a kind that can be read.
    NoText,
    /// An object without a single field.
    Empty,
    /// The pattern does not occur in this text.
    NoPattern(String),
    /// This text is not what the type says.
    NotA(&'static str, String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch => f.write_str("nothing was found on the page"),
            Self::NoText => f.write_str("what was found has no such attribute or value"),
            Self::Empty => f.write_str("none of its fields was found"),
            Self::NoPattern(text) => write!(f, "the pattern does not occur in `{text}`"),
            Self::NotA(kind, text) => write!(f, "`{text}` is no {kind}"),
        }
    }
}

/// The beginning of a text, for a message.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    let collapsed = text::collapse(&text[..text.floor_char_boundary(4 * SHOWN)]);
    if collapsed.chars().count() <= SHOWN {
        return collapsed;
    }
    collapsed.chars().take(SHOWN).chain(['…']).collect()
}

/// Reads values of one page.
pub(super) struct Values<'a> {
    /// What relative URLs are resolved against.
    pub(super) base: &'a Url,
}

impl Values<'_> {
    /// What `kind` reads from `place`.
    pub(super) fn read(
        &self,
        kind: &Kind,
        steps: &Steps,
        place: &Scope<'_>,
        meter: &mut Meter,
    ) -> Result<Result<Value, Missing>, ExtractError> {
        match place {
            Scope::Element { element, .. } => {
                let written = from_element(kind, *element, meter)?;
                self.finish(kind, steps, written, meter)
            }
            Scope::Text(text) => self.finish(kind, steps, from_text(kind, text), meter),
            Scope::Computed(Value::String(text)) => self.finish(kind, steps, from_text(kind, text), meter),
            Scope::Computed(value) => self.typed(kind, steps, value, meter),
            Scope::Json(value) => self.typed(kind, steps, value, meter),
        }
    }

    /// What becomes of a value that has a type of its own.
    fn typed(
        &self,
        kind: &Kind,
        steps: &Steps,
        value: &Value,
        meter: &mut Meter,
    ) -> Result<Result<Value, Missing>, ExtractError> {
        match from_json(kind, value) {
            FromJson::Value(value) => {
                meter.charge(json_bytes(&value))?;
                Ok(Ok(value))
            }
            FromJson::Text(text) => self.finish(kind, steps, Some(text), meter),
            FromJson::Nothing => self.finish(kind, steps, None, meter),
        }
    }

    /// What becomes of the text that was read.
    fn finish(
        &self,
        kind: &Kind,
        steps: &Steps,
        written: Option<Cow<'_, str>>,
        meter: &mut Meter,
    ) -> Result<Result<Value, Missing>, ExtractError> {
        let Some(written) = written else { return Ok(Err(Missing::NoText)) };
        let Some(text) = steps.text(&written, meter)? else {
            return Ok(Err(Missing::NoPattern(excerpt(&written))));
        };
        self.convert(kind, &text, meter)
    }

    fn convert(&self, kind: &Kind, text: &str, meter: &mut Meter) -> Result<Result<Value, Missing>, ExtractError> {
        let (what, converted) = match kind {
            Kind::Text | Kind::Attribute(_) | Kind::Html | Kind::Nested(_) => ("text", Some(text.into())),
            Kind::Number { .. } => ("number", number::first(text)),
            Kind::Url { .. } => ("URL", resolve(self.base, text).ok().map(|url| String::from(url).into())),
            Kind::Date { format, .. } => ("date", date::parse(text, format.as_deref()).map(Value::from)),
            Kind::Json { path, .. } => match json::parse(text.trim(), meter)? {
                Ok(value) => ("JSON with such a value", within(value, path.as_ref())),
                Err(_) => ("JSON", None),
            },
        };
        match converted {
            Some(value) => {
                meter.charge(json_bytes(&value))?;
                Ok(Ok(value))
            }
            None => Ok(Err(Missing::NotA(what, excerpt(text)))),
        }
    }
}

/// The text that a field of `kind` begins with.
fn from_element<'a>(
    kind: &Kind,
    element: ElementRef<'a>,
    meter: &mut Meter,
) -> Result<Option<Cow<'a, str>>, ExtractError> {
    let attribute = |name: &str| element.attr(name).map(Cow::Borrowed);
    Ok(match kind {
        Kind::Text | Kind::Nested(_) => Some(text::collapsed(element, meter)?.into()),
        Kind::Attribute(name) => attribute(name),
        Kind::Html => {
            meter.check()?;
            Some(element.inner_html().into())
        }
        Kind::Url { attribute: Some(name) }
        | Kind::Number { attribute: Some(name) }
        | Kind::Date { attribute: Some(name), .. }
        | Kind::Json { attribute: Some(name), .. } => attribute(name),
        Kind::Url { attribute: None } => attribute("href").or_else(|| attribute("src")),
        Kind::Number { attribute: None } | Kind::Json { attribute: None, .. } => {
            Some(text::raw(element, meter)?.into())
        }
        Kind::Date { attribute: None, .. } => match attribute("datetime").or_else(|| attribute("content")) {
            Some(written) => Some(written),
            None => Some(text::collapsed(element, meter)?.into()),
        },
    })
}

/// The same for an attribute, for another piece of text, or for what an expression says.
fn from_text<'a>(kind: &Kind, text: &'a str) -> Option<Cow<'a, str>> {
    match kind {
        Kind::Text | Kind::Nested(_) | Kind::Date { attribute: None, .. } => Some(text::collapse(text).into()),
        Kind::Html
        | Kind::Url { attribute: None }
        | Kind::Number { attribute: None }
        | Kind::Json { attribute: None, .. } => Some(text.into()),
        Kind::Attribute(_) | Kind::Url { .. } | Kind::Number { .. } | Kind::Date { .. } | Kind::Json { .. } => None,
    }
}

/// What a JSON value gives to a field.
enum FromJson<'a> {
    /// It is of the type asked for.
    Value(Value),
    /// A text to be converted.
    Text(Cow<'a, str>),
    Nothing,
}

fn from_json<'a>(kind: &Kind, value: &'a Value) -> FromJson<'a> {
    match (kind, value) {
        (Kind::Json { path, .. }, value) if !value.is_string() || path.is_none() => {
            within(value.clone(), path.as_ref()).map_or(FromJson::Nothing, FromJson::Value)
        }
        (Kind::Number { .. }, Value::Number(_)) => FromJson::Value(value.clone()),
        (_, Value::String(text)) => FromJson::Text(Cow::Borrowed(text)),
        (Kind::Text | Kind::Attribute(_) | Kind::Html, Value::Number(_) | Value::Bool(_)) => {
            FromJson::Text(Cow::Owned(value.to_string()))
        }
        _ => FromJson::Nothing,
    }
}

/// The first value that `path` finds; null is none.
fn within(value: Value, path: Option<&JsonPath>) -> Option<Value> {
    let found = match path {
        None => Some(value),
        Some(path) => path.query(&value).first().cloned(),
    };
    found.filter(|value| !value.is_null())
}

/// About the size of a value when written out.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(|value| 8 + json_bytes(value)).sum(),
        Value::Object(object) => object.iter().map(|(key, value)| 8 + key.len() + json_bytes(value)).sum(),
    }
}
