//! `spec.extract` and every CSS selector: parsed here once, so that no page can meet one that does not parse.

use std::collections::BTreeSet;

use scrapering_core::job::{ExtractRule, Field, FieldKind};
use scrapering_crds::job::extract::{FIELD_LEVELS_MAX, FIELDS_MAX};
use scrapering_crds::job::{ElementType, ExtractSpec, FieldSpec, FieldType, RULES_MAX, SELECTOR_LENGTH_MAX};
use serde_json::Value;

use super::report::{Faults, Place, excerpt};
use crate::extract::parse_selector;

/// Longest name of an item or a field, bytes.
const NAME_LENGTH_MAX: usize = 63;
/// Longest name of an attribute, bytes.
const ATTRIBUTE_LENGTH_MAX: usize = 64;

pub(super) fn rules(written: &[ExtractSpec], at: &Place, faults: &mut Faults) -> Vec<ExtractRule> {
    if written.len() > RULES_MAX {
        faults.add(at, format!("has {} rules; at most {RULES_MAX} are allowed", written.len()));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut rules = Vec::with_capacity(written.len());
    for (index, rule) in written.iter().enumerate() {
        let at = at.index(index);
        check_name(&rule.name, &mut names, &at.field("name"), faults);
        if let Some(selector) = &rule.base_selector {
            check_selector(selector, &at.field("baseSelector"), faults);
        }
        let at_fields = at.field("fields");
        if rule.fields.is_empty() {
            faults.add(&at_fields, "is empty; an item needs at least one field");
        }
        rules.push(ExtractRule {
            name: rule.name.clone(),
            base_selector: rule.base_selector.clone(),
            fields: fields(&rule.fields, 1, &at_fields, faults),
        });
    }
    rules
}

fn fields<'a>(written: &'a [FieldSpec], level: usize, at: &Place, faults: &mut Faults) -> Vec<Field> {
    if written.len() > FIELDS_MAX {
        faults.add(at, format!("has {} fields; at most {FIELDS_MAX} are allowed", written.len()));
        return Vec::new();
    }
    if level > FIELD_LEVELS_MAX && !written.is_empty() {
        faults.add(at, format!("is more than {FIELD_LEVELS_MAX} levels deep; make the item flatter"));
        return Vec::new();
    }
    let mut names: BTreeSet<&'a str> = BTreeSet::new();
    let mut fields = Vec::with_capacity(written.len());
    for (index, field) in written.iter().enumerate() {
        let at = at.index(index);
        check_name(&field.name, &mut names, &at.field("name"), faults);
        if let Some(selector) = &field.selector {
            check_selector(selector, &at.field("selector"), faults);
        }
        if field.required && field.default.is_some() {
            faults.add(&at.field("default"), "is never used, because the field is required; remove one of the two");
        }
        if field.default == Some(Value::Null) {
            faults.add(&at.field("default"), "is null; leave it out instead");
        }
        fields.push(Field {
            name: field.name.clone(),
            selector: field.selector.clone(),
            kind: kind(field, level, &at, faults),
            required: field.required,
            default: field.default.clone(),
        });
    }
    fields
}

fn kind(field: &FieldSpec, level: usize, at: &Place, faults: &mut Faults) -> FieldKind {
    let is_list = field.type_ == FieldType::List;
    let has_fields = !field.fields.is_empty();
    if field.of.is_some() && !is_list {
        faults.add(&at.field("of"), "is only for fields of type `list`");
    }
    if field.of.is_some() && is_list && has_fields {
        faults.add(&at.field("of"), "cannot stand together with `fields`; a list holds values or objects");
    }
    if has_fields && !is_list && field.type_ != FieldType::Nested {
        faults.add(&at.field("fields"), "is only for fields of type `list` and `nested`");
    }
    let below = || at.field("fields");
    match field.type_ {
        FieldType::Text => element(ElementType::Text, field, at, faults),
        FieldType::Attribute => element(ElementType::Attribute, field, at, faults),
        FieldType::Html => element(ElementType::Html, field, at, faults),
        FieldType::Number => element(ElementType::Number, field, at, faults),
        FieldType::Url => element(ElementType::Url, field, at, faults),
        FieldType::List if has_fields => {
            refuse_attribute(field, "a list of objects", at, faults);
            FieldKind::List {
                element: Box::new(FieldKind::Text),
                fields: fields(&field.fields, level + 1, &below(), faults),
            }
        }
        FieldType::List => FieldKind::List {
            element: Box::new(element(field.of.unwrap_or_default(), field, at, faults)),
            fields: Vec::new(),
        },
        FieldType::Nested => {
            refuse_attribute(field, "a nested object", at, faults);
            if !has_fields {
                faults.add(&below(), "is missing; a nested object needs at least one field");
            }
            FieldKind::Nested(fields(&field.fields, level + 1, &below(), faults))
        }
    }
}

/// What one element is read as: a field by itself, or each element of a list.
fn element(read_as: ElementType, field: &FieldSpec, at: &Place, faults: &mut Faults) -> FieldKind {
    let at_attribute = at.field("attribute");
    if let Some(attribute) = &field.attribute {
        check_attribute(attribute, &at_attribute, faults);
    }
    let attribute = field.attribute.as_ref().map(|name| name.to_ascii_lowercase());
    match read_as {
        ElementType::Text => {
            refuse_attribute(field, "text; use the type `attribute`", at, faults);
            FieldKind::Text
        }
        ElementType::Html => {
            refuse_attribute(field, "html; use the type `attribute`", at, faults);
            FieldKind::Html
        }
        ElementType::Number => FieldKind::Number { attribute },
        ElementType::Url => FieldKind::Url { attribute },
        ElementType::Attribute => {
            if attribute.is_none() {
                faults.add(&at_attribute, "is missing; the type `attribute` needs the name of one, such as `src`");
            }
            FieldKind::Attribute(attribute.unwrap_or_default())
        }
    }
}

fn refuse_attribute(field: &FieldSpec, what: &str, at: &Place, faults: &mut Faults) {
    if field.attribute.is_some() {
        faults.add(&at.field("attribute"), format!("means nothing for {what}"));
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

/// Adds a fault unless `selector` is a CSS selector that the extractor can use.
pub(super) fn check_selector(selector: &str, at: &Place, faults: &mut Faults) {
    if selector.chars().count() > SELECTOR_LENGTH_MAX {
        faults.add(at, format!("is longer than {SELECTOR_LENGTH_MAX} characters"));
    } else if let Err(error) = parse_selector(selector) {
        faults.add(at, format!("`{}` is not a CSS selector: {error}", excerpt(selector)));
    }
}

/// Adds a fault unless `name` can be the name of an HTML attribute.
pub(super) fn check_attribute(name: &str, at: &Place, faults: &mut Faults) {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\'' | '>' | '/' | '=' | '<');
    if name.is_empty() || name.len() > ATTRIBUTE_LENGTH_MAX || !name.chars().all(allowed) {
        faults.add(at, format!("`{}` is not the name of an attribute", excerpt(name)));
    }
}
