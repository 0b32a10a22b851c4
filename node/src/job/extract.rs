//! `spec.extract` and every selector: parsed here once, so that no page can meet one that does not parse.

mod kind;
mod selector;
mod transform;

use std::collections::BTreeSet;

use scrapering_core::job::{ExtractRule, Field, Patterns, Selector, Source};
use scrapering_crds::job::extract::{FIELD_LEVELS_MAX, FIELDS_MAX, KEY_FIELDS_MAX};
use scrapering_crds::job::{ExtractSpec, FieldSpec, MatchSpec, RULES_MAX, SourceType};
use serde_json::Value;

use super::labels::Asked;
use super::report::{Faults, Place, excerpt};
use super::scope::patterns;
use crate::extract::{ItemSchema, Pattern, parse_path};
pub(super) use selector::{Needs, Written};

/// Longest name of an item or a field, bytes.
const NAME_LENGTH_MAX: usize = 63;
/// Longest name of an attribute, bytes.
const ATTRIBUTE_LENGTH_MAX: usize = 64;
/// Longest regular expression, characters.
const PATTERN_LENGTH_MAX: usize = 1_024;

pub(super) fn rules(
    written: &[ExtractSpec],
    labels: &mut Asked<'_>,
    at: &Place,
    faults: &mut Faults,
) -> Vec<ExtractRule> {
    if written.len() > RULES_MAX {
        faults.add(at, format!("has {} rules; at most {RULES_MAX} are allowed", written.len()));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut rules = Vec::with_capacity(written.len());
    for (index, rule) in written.iter().enumerate() {
        let at = at.index(index);
        check_name(&rule.name, &mut names, &at.field("name"), faults);
        rules.push(self::rule(rule, labels, &at, faults));
    }
    rules
}

fn rule(written: &ExtractSpec, labels: &mut Asked<'_>, at: &Place, faults: &mut Faults) -> ExtractRule {
    let source = match written.from {
        SourceType::Html => Source::Html,
        SourceType::Json => Source::Json,
        SourceType::JsonLd => Source::JsonLd,
        SourceType::OpenGraph => Source::OpenGraph,
        SourceType::Meta => Source::Meta,
    };
    let base = Written {
        names: ["baseSelector", "baseXPath"],
        native: written.base_selector.as_deref(),
        xpath: written.base_xpath.as_deref(),
    };
    let base_selector = base.selector(source, Needs::Elements, at, faults);
    let at_fields = at.field("fields");
    if written.fields.is_empty() {
        faults.add(&at_fields, "is empty; an item needs at least one field");
    }
    check_key(written, &at.field("key"), faults);
    if let Some(schema) = &written.schema
        && let Err(message) = ItemSchema::compile(schema)
    {
        faults.add(&at.field("schema"), message);
    }
    let (labels, urls) = pages(written.match_.as_ref(), labels, &at.field("match"), faults);
    ExtractRule {
        name: written.name.clone(),
        labels,
        urls,
        source,
        base_selector,
        fields: fields(source, &written.fields, 1, &at_fields, faults),
        key: written.key.clone(),
        schema: written.schema.clone(),
    }
}

/// Which pages a rule is for.
fn pages(written: Option<&MatchSpec>, labels: &mut Asked<'_>, at: &Place, faults: &mut Faults) -> (Vec<u16>, Patterns) {
    let Some(written) = written else { return (Vec::new(), Patterns::default()) };
    if written.labels.len() > RULES_MAX {
        faults.add(&at.field("labels"), format!("has more than {RULES_MAX} entries"));
        return (Vec::new(), Patterns::default());
    }
    let mut numbers = Vec::with_capacity(written.labels.len());
    for (index, label) in written.labels.iter().enumerate() {
        numbers.push(labels.number(label, &at.field("labels").index(index), faults));
    }
    (numbers, patterns(&written.urls, &at.field("urls"), faults))
}

fn check_key(written: &ExtractSpec, at: &Place, faults: &mut Faults) {
    if written.key.len() > KEY_FIELDS_MAX {
        faults.add(at, format!("has {} entries; at most {KEY_FIELDS_MAX} are allowed", written.key.len()));
        return;
    }
    let mut known = BTreeSet::new();
    for (index, name) in written.key.iter().enumerate() {
        if !written.fields.iter().any(|field| field.name == *name) {
            faults.add(&at.index(index), format!("`{}` is not one of the fields of the item", excerpt(name)));
        } else if !known.insert(name) {
            faults.add(&at.index(index), format!("`{name}` is named twice"));
        }
    }
}

fn fields(source: Source, written: &[FieldSpec], level: usize, at: &Place, faults: &mut Faults) -> Vec<Field> {
    if written.len() > FIELDS_MAX {
        faults.add(at, format!("has {} fields; at most {FIELDS_MAX} are allowed", written.len()));
        return Vec::new();
    }
    if level > FIELD_LEVELS_MAX && !written.is_empty() {
        faults.add(at, format!("is more than {FIELD_LEVELS_MAX} levels deep; make the item flatter"));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut fields = Vec::with_capacity(written.len());
    for (index, field) in written.iter().enumerate() {
        let at = at.index(index);
        check_name(&field.name, &mut names, &at.field("name"), faults);
        let selector = field_selector(source, field, &at, faults);
        if field.required && field.default.is_some() {
            faults.add(&at.field("default"), "is never used, because the field is required; remove one of the two");
        }
        if field.default == Some(Value::Null) {
            faults.add(&at.field("default"), "is null; leave it out instead");
        }
        let kind = kind::Judge { source, level, field, at: &at }.kind(faults);
        fields.push(Field {
            name: field.name.clone(),
            selector,
            kind,
            pattern: field.pattern.clone(),
            transforms: transform::transforms(field, &at, faults),
            required: field.required,
            default: field.default.clone(),
        });
    }
    fields
}

/// What finds a field; objects are made of nodes, and attributes are those of elements.
fn field_selector(source: Source, field: &FieldSpec, at: &Place, faults: &mut Faults) -> Option<Selector> {
    let written =
        Written { names: ["selector", "xpath"], native: field.selector.as_deref(), xpath: field.xpath.as_deref() };
    let needs = if field.fields.is_empty() { Needs::Anything } else { Needs::Nodes };
    if field.attribute.is_some() && field.xpath.as_deref().is_some_and(selector::finds_no_element) {
        faults.add(&at.field("attribute"), "is read from elements, and the xpath finds none; leave it out (with the type `text`, if it is `attribute`)");
    }
    written.selector(source, needs, at, faults)
}

fn check_path(path: &str, at: &Place, faults: &mut Faults) {
    if let Err(error) = parse_path(path) {
        faults.add(at, format!("`{}` is not a JSONPath such as `$.items[*].title`: {error}", excerpt(path)));
    }
}

fn check_pattern(pattern: &str, at: &Place, faults: &mut Faults) {
    if pattern.is_empty() || pattern.chars().count() > PATTERN_LENGTH_MAX {
        faults.add(at, format!("must have 1 to {PATTERN_LENGTH_MAX} characters"));
    } else if let Err(error) = Pattern::compile(pattern) {
        faults.add(at, format!("`{}` {error}", excerpt(pattern)));
    }
}

/// Names are keys of JSON objects and columns of tables; `_` in front is ours (`_type`, `_url`).
fn check_name<'a>(name: &'a str, known: &mut BTreeSet<&'a str>, at: &Place, faults: &mut Faults) {
    let letter_first = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !letter_first || !plain || name.len() > NAME_LENGTH_MAX {
        let shown = excerpt(name);
        faults.add(
            at,
            format!(
                "`{shown}` is not a name; use a letter, then letters, digits, `_` and `-`, at most {NAME_LENGTH_MAX}"
            ),
        );
    } else if !known.insert(name) {
        faults.add(at, format!("`{name}` is used twice here; names must differ"));
    }
}

/// Adds a fault unless `name` can be the name of an HTML attribute.
pub(super) fn check_attribute(name: &str, at: &Place, faults: &mut Faults) {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\'' | '>' | '/' | '=' | '<');
    if name.is_empty() || name.len() > ATTRIBUTE_LENGTH_MAX || !name.chars().all(allowed) {
        faults.add(at, format!("`{}` is not the name of an attribute", excerpt(name)));
    }
}
