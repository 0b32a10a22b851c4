//! `pattern` and `transform` of a field: which parameters belong to which step, and whether a step can follow another.

use scrapering_core::job::Transform;
use scrapering_crds::job::extract::{TRANSFORM_LENGTH_MAX, TRANSFORMS_MAX};
use scrapering_crds::job::{FieldSpec, FieldType, TransformOp, TransformSpec};

use super::super::report::{Faults, Place};
use super::check_pattern;

pub(super) fn transforms(field: &FieldSpec, at: &Place, faults: &mut Faults) -> Vec<Transform> {
    let is_list = field.type_ == FieldType::List;
    let holds_objects = field.type_ == FieldType::Nested || (is_list && !field.fields.is_empty());
    if let Some(pattern) = field.pattern.as_ref().filter(|_| !holds_objects) {
        check_pattern(pattern, &at.field("pattern"), faults);
    }
    let at = at.field("transform");
    if holds_objects && !field.transform.is_empty() {
        faults.add(&at, "means nothing for objects; put it into their fields");
        return Vec::new();
    }
    if field.transform.len() > TRANSFORMS_MAX {
        faults.add(&at, format!("has {} entries; at most {TRANSFORMS_MAX} are allowed", field.transform.len()));
        return Vec::new();
    }
    let mut is_list = is_list;
    let mut transforms = Vec::with_capacity(field.transform.len());
    for (index, step) in field.transform.iter().enumerate() {
        let at = at.index(index);
        match step.op {
            TransformOp::Join | TransformOp::Unique if !is_list => {
                faults.add(&at.field("op"), "needs a list; put it behind `split`, or use the type `list`");
            }
            TransformOp::Split if is_list => faults.add(&at.field("op"), "cannot make a list of a list"),
            _ => {}
        }
        is_list = match step.op {
            TransformOp::Split => true,
            TransformOp::Join => false,
            _ => is_list,
        };
        transforms.push(transform(step, &at, faults));
    }
    transforms
}

fn transform(step: &TransformSpec, at: &Place, faults: &mut Faults) -> Transform {
    let mut parameters = Parameters { step, at, faults };
    let transform = match step.op {
        TransformOp::Trim => Transform::Trim,
        TransformOp::Collapse => Transform::Collapse,
        TransformOp::Lower => Transform::Lower,
        TransformOp::Upper => Transform::Upper,
        TransformOp::Unique => Transform::Unique,
        TransformOp::Replace => {
            Transform::Replace { find: parameters.needed("find"), with: parameters.optional("with") }
        }
        TransformOp::Regex => Transform::Regex { find: parameters.needed("find"), with: parameters.optional("with") },
        TransformOp::Prefix => Transform::Prefix(parameters.needed("with")),
        TransformOp::Suffix => Transform::Suffix(parameters.needed("with")),
        TransformOp::Split => Transform::Split(parameters.needed("separator")),
        TransformOp::Join => Transform::Join(parameters.optional("separator")),
    };
    let known: &[&str] = match step.op {
        TransformOp::Trim | TransformOp::Collapse | TransformOp::Lower | TransformOp::Upper | TransformOp::Unique => {
            &[]
        }
        TransformOp::Replace | TransformOp::Regex => &["find", "with"],
        TransformOp::Prefix | TransformOp::Suffix => &["with"],
        TransformOp::Split | TransformOp::Join => &["separator"],
    };
    parameters.refuse_others(known);
    if let Transform::Regex { find, .. } = &transform
        && !find.is_empty()
    {
        check_pattern(find, &at.field("find"), faults);
    }
    transform
}

/// The parameters of one step.
struct Parameters<'a> {
    step: &'a TransformSpec,
    at: &'a Place,
    faults: &'a mut Faults,
}

impl Parameters<'_> {
    fn written(&self, name: &str) -> Option<&String> {
        match name {
            "find" => self.step.find.as_ref(),
            "with" => self.step.with.as_ref(),
            _ => self.step.separator.as_ref(),
        }
    }

    fn optional(&mut self, name: &str) -> String {
        let text = self.written(name).cloned().unwrap_or_default();
        if text.chars().count() > TRANSFORM_LENGTH_MAX {
            self.faults.add(&self.at.field(name), format!("has more than {TRANSFORM_LENGTH_MAX} characters"));
        }
        text
    }

    fn needed(&mut self, name: &str) -> String {
        let text = self.optional(name);
        if text.is_empty() {
            self.faults.add(&self.at.field(name), "is missing or empty; this step needs it");
        }
        text
    }

    fn refuse_others(&mut self, known: &[&str]) {
        for name in ["find", "with", "separator"] {
            if self.written(name).is_some() && !known.contains(&name) {
                self.faults.add(&self.at.field(name), "means nothing for this step");
            }
        }
    }
}
