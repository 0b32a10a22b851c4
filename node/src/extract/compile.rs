//! Rules with their selectors parsed once for a whole job.

use scraper::Selector;
use scrapering_core::job::{ExtractRule, Field, FieldKind, FollowRule};
use serde_json::Value;

use super::ExtractSpecError;

/// Longest selector, bytes; selectors are read and matched recursively.
const MAX_SELECTOR_BYTES: usize = 1024;

/// Deepest nesting of lists and objects.
const MAX_FIELD_DEPTH: usize = 8;

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) base: Option<Selector>,
    pub(super) fields: Vec<CompiledField>,
}

#[derive(Debug)]
pub(super) struct CompiledField {
    pub(super) name: String,
    pub(super) selector: Option<Selector>,
    /// Every match instead of the first.
    pub(super) list: bool,
    /// What is read from a match.
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    /// Size of the default when written out.
    pub(super) default_bytes: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Attribute(String),
    Html,
    Number { attribute: Option<String> },
    Url { attribute: Option<String> },
    Nested(Vec<CompiledField>),
}

#[derive(Debug)]
pub(super) struct Follow {
    pub(super) selector: Selector,
    pub(super) attribute: String,
}

pub(super) fn rules(rules: &[ExtractRule]) -> Result<Vec<Rule>, ExtractSpecError> {
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let path = format!("extract[{index}]");
            Ok(Rule {
                name: rule.name.clone(),
                base: optional_selector(rule.base_selector.as_deref(), &format!("{path}.baseSelector"))?,
                fields: fields(&rule.fields, &path, 1)?,
            })
        })
        .collect()
}

pub(super) fn follow(rules: &[FollowRule]) -> Result<Vec<Follow>, ExtractSpecError> {
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            Ok(Follow {
                selector: selector(&rule.selector, &format!("follow[{index}].selector"))?,
                attribute: rule.attribute.to_ascii_lowercase(),
            })
        })
        .collect()
}

fn fields(fields: &[Field], parent: &str, depth: usize) -> Result<Vec<CompiledField>, ExtractSpecError> {
    if depth > MAX_FIELD_DEPTH {
        return Err(ExtractSpecError {
            path: parent.to_owned(),
            message: format!("fields are nested more than {MAX_FIELD_DEPTH} deep; flatten them"),
        });
    }
    fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let path = format!("{parent}.fields[{index}]");
            let (list, kind) = list_or_kind(&field.kind, &path, depth)?;
            Ok(CompiledField {
                name: field.name.clone(),
                selector: optional_selector(field.selector.as_deref(), &format!("{path}.selector"))?,
                list,
                kind,
                required: field.required,
                default: field.default.clone(),
                default_bytes: field.default.as_ref().map_or(0, |d| d.to_string().len()),
            })
        })
        .collect()
}

/// Whether a field is a list, and what is read from each match.
fn list_or_kind(spec: &FieldKind, path: &str, depth: usize) -> Result<(bool, Kind), ExtractSpecError> {
    match spec {
        FieldKind::List { element, fields: inner } if inner.is_empty() => Ok((true, kind(element, path, depth)?)),
        FieldKind::List { fields: inner, .. } => Ok((true, Kind::Nested(fields(inner, path, depth + 1)?))),
        single => Ok((false, kind(single, path, depth)?)),
    }
}

fn kind(spec: &FieldKind, path: &str, depth: usize) -> Result<Kind, ExtractSpecError> {
    // Attribute names of HTML are lower case once parsed.
    let lower = |name: &Option<String>| name.as_deref().map(str::to_ascii_lowercase);
    Ok(match spec {
        FieldKind::Text => Kind::Text,
        FieldKind::Attribute(name) => Kind::Attribute(name.to_ascii_lowercase()),
        FieldKind::Html => Kind::Html,
        FieldKind::Number { attribute } => Kind::Number { attribute: lower(attribute) },
        FieldKind::Url { attribute } => Kind::Url { attribute: lower(attribute) },
        FieldKind::List { .. } => return Err(list_of_lists(path)),
        FieldKind::Nested(inner) => Kind::Nested(fields(inner, path, depth + 1)?),
    })
}

fn list_of_lists(path: &str) -> ExtractSpecError {
    ExtractSpecError {
        path: path.to_owned(),
        message: "a list cannot hold lists directly; give its elements a field of type list".to_owned(),
    }
}

fn optional_selector(css: Option<&str>, path: &str) -> Result<Option<Selector>, ExtractSpecError> {
    css.map(|css| selector(css, path)).transpose()
}

/// Parses one selector; the message is for whoever wrote it.
pub(super) fn selector(css: &str, path: &str) -> Result<Selector, ExtractSpecError> {
    let error = |message: String| ExtractSpecError { path: path.to_owned(), message };
    if css.len() > MAX_SELECTOR_BYTES {
        return Err(error(format!("the selector has {} bytes; {MAX_SELECTOR_BYTES} are allowed", css.len())));
    }
    parse_selector(css).map_err(|problem| error(format!("\"{css}\" is no CSS selector: {problem}")))
}

/// Parses one selector; the message says what is wrong with it.
pub(crate) fn parse_selector(css: &str) -> Result<Selector, String> {
    Selector::parse(css).map_err(|problem| match problem {
        // The library asks for a bug report over what is simply unknown to it.
        scraper::error::SelectorErrorKind::UnexpectedSelectorParseError(kind) => {
            format!("unsupported or incomplete ({kind:?})")
        }
        known => known.to_string().to_lowercase(),
    })
}
