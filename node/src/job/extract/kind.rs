//! What a field is read as, judged together with the parameters that this takes.

use scrapering_core::job::{FieldKind, Source};
use scrapering_crds::job::{ElementType, FieldSpec, FieldType};

use super::super::report::{Faults, Place, excerpt};
use super::{check_attribute, check_path, fields};
use crate::extract::check_format;

/// A field to be judged.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) source: Source,
    pub(super) level: usize,
    pub(super) field: &'a FieldSpec,
    pub(super) at: &'a Place,
}

impl Judge<'_> {
    pub(super) fn kind(self, faults: &mut Faults) -> FieldKind {
        let Self { field, at, .. } = self;
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
        let element = match field.type_ {
            FieldType::Text => ElementType::Text,
            FieldType::Attribute => ElementType::Attribute,
            FieldType::Html => ElementType::Html,
            FieldType::Number => ElementType::Number,
            FieldType::Url => ElementType::Url,
            FieldType::Date => ElementType::Date,
            FieldType::Json => ElementType::Json,
            FieldType::List if has_fields => return self.objects("a list of objects", faults),
            FieldType::List => {
                let element = Box::new(self.element(field.of.unwrap_or_default(), faults));
                return FieldKind::List { element, fields: Vec::new() };
            }
            FieldType::Nested => {
                if !has_fields {
                    faults.add(&at.field("fields"), "is missing; a nested object needs at least one field");
                }
                return self.objects("a nested object", faults);
            }
        };
        self.element(element, faults)
    }

    /// A list of objects, or one.
    fn objects(self, what: &str, faults: &mut Faults) -> FieldKind {
        let Self { source, level, field, at } = self;
        for (name, is_set) in [
            ("attribute", field.attribute.is_some()),
            ("pattern", field.pattern.is_some()),
            ("format", field.format.is_some()),
            ("path", field.path.is_some()),
        ] {
            if is_set {
                faults.add(&at.field(name), format!("means nothing for {what}"));
            }
        }
        let fields = fields(source, &field.fields, level + 1, &at.field("fields"), faults);
        match field.type_ {
            FieldType::List => FieldKind::List { element: Box::new(FieldKind::Text), fields },
            _ => FieldKind::Nested(fields),
        }
    }

    /// What one element is read as: a field by itself, or each element of a list.
    fn element(self, read_as: ElementType, faults: &mut Faults) -> FieldKind {
        let Self { source, field, at, .. } = self;
        let attribute = self.attribute(read_as, faults);
        if field.format.is_some() && read_as != ElementType::Date {
            faults.add(&at.field("format"), "is only for the type `date`");
        }
        if field.path.is_some() && read_as != ElementType::Json {
            faults.add(&at.field("path"), "is only for the type `json`");
        }
        if let Some(format) = &field.format
            && let Err(message) = check_format(format)
        {
            faults.add(&at.field("format"), format!("`{}` is not the format of a date: {message}", excerpt(format)));
        }
        if let Some(path) = &field.path {
            check_path(path, &at.field("path"), faults);
        }
        match read_as {
            ElementType::Text => FieldKind::Text,
            ElementType::Html => {
                if source != Source::Html {
                    faults.add(&at.field("type"), "`html` is only for items from html; JSON has texts");
                }
                FieldKind::Html
            }
            ElementType::Number => FieldKind::Number { attribute },
            ElementType::Url => FieldKind::Url { attribute },
            ElementType::Date => FieldKind::Date { attribute, format: field.format.clone() },
            ElementType::Json => FieldKind::Json { attribute, path: field.path.clone() },
            ElementType::Attribute => FieldKind::Attribute(attribute.unwrap_or_default()),
        }
    }

    /// The attribute to read, in lower case, if one is named where one may be.
    fn attribute(self, read_as: ElementType, faults: &mut Faults) -> Option<String> {
        let Self { source, field, at, .. } = self;
        let at_attribute = at.field("attribute");
        let Some(name) = &field.attribute else {
            if read_as == ElementType::Attribute && source == Source::Html {
                faults.add(&at_attribute, "is missing; the type `attribute` needs the name of one, such as `src`");
            } else if read_as == ElementType::Attribute {
                faults.add(&at.field("type"), "`attribute` is only for items from html; JSON has no attributes");
            }
            return None;
        };
        if source != Source::Html {
            faults.add(&at_attribute, "is only for items from html; JSON has no attributes");
            return None;
        }
        check_attribute(name, &at_attribute, faults);
        match read_as {
            ElementType::Text => faults.add(&at_attribute, "means nothing for text; use the type `attribute`"),
            ElementType::Html => faults.add(&at_attribute, "means nothing for html; use the type `attribute`"),
            _ => {}
        }
        Some(name.to_ascii_lowercase())
    }
}
