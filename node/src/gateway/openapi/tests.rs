//! The document: whole, well-formed, and the same as the one in git.

use super::{document, value};
use crate::gateway::routes;
use serde_json::Value;
use std::collections::BTreeSet;

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    each.collect()
}

#[test]
fn the_document_in_git_is_the_one_that_the_code_makes() {
    // Tests run in the folder of their package.
    let kept = std::fs::read_to_string("openapi.json").expect("node/openapi.json");
    if kept != document() {
        let made = std::env::temp_dir().join("scrapering-openapi.json");
        std::fs::write(&made, document()).expect("written");
        panic!(
            "node/openapi.json differs from the routes; what they make is in {}: copy it if it is right",
            made.display()
        );
    }
}

#[test]
fn every_route_is_described_with_its_name_its_success_and_its_parameters() {
    let document = value();
    let operations = operations(&document);
    assert_eq!(operations.len(), routes::all().len());
    let mut ids = BTreeSet::new();
    for (name, operation) in &operations {
        assert!(operation["operationId"].as_str().is_some_and(|id| !id.is_empty() && ids.insert(id)), "{name}");
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.')), "{name}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        let described = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let described: BTreeSet<&str> =
            described.iter().filter(|one| one["in"] == "path").filter_map(|one| one["name"].as_str()).collect();
        let written: BTreeSet<&str> = name.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        assert_eq!(described, written, "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk<'value>(value: &'value Value, found: &mut BTreeSet<&'value str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| walk(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = value();
    let mut references = BTreeSet::new();
    walk(&document, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("all references are inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
