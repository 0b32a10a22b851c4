//! Rules with their selectors and patterns parsed once for a whole job.

use scrapering_core::job::{ExtractRule, Field, FieldKind, FollowRule, Patterns, Selector, Source};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::schema::ItemSchema;
use super::selector::Css;
use super::transform::Steps;
use super::xpath::XPath;
use super::{ExtractSpecError, json};

/// Longest selector, bytes; selectors are read and matched recursively.
const MAX_SELECTOR_BYTES: usize = 1024;

/// Deepest nesting of lists and objects.
const MAX_FIELD_DEPTH: usize = 8;

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) pages: Pages,
    pub(super) source: Source,
    pub(super) base: Option<Query>,
    pub(super) fields: Vec<CompiledField>,
    pub(super) key: Vec<String>,
    pub(super) schema: Option<ItemSchema>,
}

/// Which pages a rule is for.
#[derive(Debug)]
pub(super) struct Pages {
    labels: Vec<u16>,
    urls: Patterns,
}

impl Pages {
    /// Whether a page with this label and URL is one of them.
    pub(super) fn include(&self, label: u16, url: &str) -> bool {
        (self.labels.is_empty() || self.labels.contains(&label)) && (self.urls.is_empty() || self.urls.is_match(url))
    }
}

/// A selector of any language.
#[derive(Debug)]
pub(super) enum Query {
    Css(Css),
    Json(JsonPath),
    XPath(XPath),
}

#[derive(Debug)]
pub(super) struct CompiledField {
    pub(super) name: String,
    pub(super) selector: Option<Query>,
    /// Every match instead of the first.
    pub(super) list: bool,
    /// What is read from a match.
    pub(super) kind: Kind,
    pub(super) steps: Steps,
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
    Date { attribute: Option<String>, format: Option<String> },
    Json { attribute: Option<String>, path: Option<JsonPath> },
    Nested(Vec<CompiledField>),
}

#[derive(Debug)]
pub(super) struct Follow {
    pub(super) selector: LinkQuery,
    pub(super) attribute: String,
    allow: Patterns,
    deny: Patterns,
}

/// What finds links.
#[derive(Debug)]
pub(super) enum LinkQuery {
    Css(Css),
    XPath(XPath),
}

impl Follow {
    /// Whether the rule follows this URL.
    pub(super) fn accepts(&self, url: &str) -> bool {
        (self.allow.is_empty() || self.allow.is_match(url)) && !self.deny.is_match(url)
    }
}

pub(super) fn rules(rules: &[ExtractRule]) -> Result<Vec<Rule>, ExtractSpecError> {
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let compiler = Compiler { source: rule.source };
            let path = format!("extract[{index}]");
            let schema = rule.schema.as_ref().map(ItemSchema::compile).transpose();
            Ok(Rule {
                name: rule.name.clone(),
                pages: Pages { labels: rule.labels.clone(), urls: rule.urls.clone() },
                source: rule.source,
                base: compiler.query(rule.base_selector.as_ref(), &path, ["baseSelector", "baseXPath"])?,
                fields: compiler.fields(&rule.fields, &path, 1)?,
                key: rule.key.clone(),
                schema: schema.map_err(|message| fault(format!("{path}.schema"), message))?,
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
                selector: match &rule.selector {
                    Selector::Native(selector) => LinkQuery::Css(css(selector, &format!("follow[{index}].selector"))?),
                    Selector::XPath(written) => LinkQuery::XPath(xpath(written, &format!("follow[{index}].xpath"))?),
                },
                attribute: rule.attribute.to_ascii_lowercase(),
                allow: rule.allow.clone(),
                deny: rule.deny.clone(),
            })
        })
        .collect()
}

fn fault(path: impl Into<String>, message: impl Into<String>) -> ExtractSpecError {
    ExtractSpecError { path: path.into(), message: message.into() }
}

/// Compiles the fields of one rule.
struct Compiler {
    source: Source,
}

impl Compiler {
    fn fields(&self, fields: &[Field], parent: &str, depth: usize) -> Result<Vec<CompiledField>, ExtractSpecError> {
        if depth > MAX_FIELD_DEPTH {
            return Err(fault(parent, format!("fields are nested more than {MAX_FIELD_DEPTH} deep; flatten them")));
        }
        fields
            .iter()
            .enumerate()
            .map(|(index, field)| self.field(field, &format!("{parent}.fields[{index}]"), depth))
            .collect()
    }

    fn field(&self, field: &Field, path: &str, depth: usize) -> Result<CompiledField, ExtractSpecError> {
        let (list, kind) = self.list_or_kind(&field.kind, path, depth)?;
        let steps = Steps::compile(field.pattern.as_deref(), &field.transforms).map_err(|(index, message)| {
            let place = index.map_or_else(|| "pattern".to_owned(), |index| format!("transform[{index}].find"));
            fault(format!("{path}.{place}"), message)
        })?;
        Ok(CompiledField {
            name: field.name.clone(),
            selector: self.query(field.selector.as_ref(), path, ["selector", "xpath"])?,
            list,
            kind,
            steps,
            required: field.required,
            default: field.default.clone(),
            default_bytes: field.default.as_ref().map_or(0, |d| d.to_string().len()),
        })
    }

    /// Whether a field is a list, and what is read from each match.
    fn list_or_kind(&self, spec: &FieldKind, path: &str, depth: usize) -> Result<(bool, Kind), ExtractSpecError> {
        match spec {
            FieldKind::List { element, fields } if fields.is_empty() => Ok((true, self.kind(element, path, depth)?)),
            FieldKind::List { fields, .. } => Ok((true, Kind::Nested(self.fields(fields, path, depth + 1)?))),
            single => Ok((false, self.kind(single, path, depth)?)),
        }
    }

    fn kind(&self, spec: &FieldKind, path: &str, depth: usize) -> Result<Kind, ExtractSpecError> {
        // Attribute names of HTML are lower case once parsed.
        let lower = |name: &Option<String>| name.as_deref().map(str::to_ascii_lowercase);
        Ok(match spec {
            FieldKind::Text => Kind::Text,
            FieldKind::Attribute(name) => Kind::Attribute(name.to_ascii_lowercase()),
            FieldKind::Html => Kind::Html,
            FieldKind::Number { attribute } => Kind::Number { attribute: lower(attribute) },
            FieldKind::Url { attribute } => Kind::Url { attribute: lower(attribute) },
            FieldKind::Date { attribute, format } => Kind::Date { attribute: lower(attribute), format: format.clone() },
            FieldKind::Json { attribute, path: inner } => Kind::Json {
                attribute: lower(attribute),
                path: inner.as_deref().map(|inner| json_path(inner, &format!("{path}.path"))).transpose()?,
            },
            FieldKind::List { .. } => {
                return Err(fault(path, "a list cannot hold lists directly; give its elements a field of type list"));
            }
            FieldKind::Nested(inner) => Kind::Nested(self.fields(inner, path, depth + 1)?),
        })
    }

    /// A selector that stands in the first of two fields of `parent`, or an XPath in the second.
    fn query(
        &self,
        selector: Option<&Selector>,
        parent: &str,
        [native, second]: [&str; 2],
    ) -> Result<Option<Query>, ExtractSpecError> {
        let Some(selector) = selector else { return Ok(None) };
        Ok(Some(match (selector, self.source) {
            (Selector::Native(css), Source::Html) => Query::Css(self::css(css, &format!("{parent}.{native}"))?),
            (Selector::Native(path), _) => Query::Json(json_path(path, &format!("{parent}.{native}"))?),
            (Selector::XPath(written), _) => Query::XPath(xpath(written, &format!("{parent}.{second}"))?),
        }))
    }
}

/// Parses one CSS selector; the message is for whoever wrote it.
fn css(selector: &str, path: &str) -> Result<Css, ExtractSpecError> {
    if selector.len() > MAX_SELECTOR_BYTES {
        let message = format!("the selector has {} bytes; {MAX_SELECTOR_BYTES} are allowed", selector.len());
        return Err(fault(path, message));
    }
    Css::parse(selector).map_err(|problem| fault(path, format!("\"{selector}\" is no CSS selector: {problem}")))
}

fn xpath(written: &str, path: &str) -> Result<XPath, ExtractSpecError> {
    XPath::parse(written).map_err(|problem| fault(path, format!("\"{written}\" is no XPath: {problem}")))
}

fn json_path(written: &str, path: &str) -> Result<JsonPath, ExtractSpecError> {
    json::parse_path(written).map_err(|problem| fault(path, format!("\"{written}\" is no JSONPath: {problem}")))
}
