//! The custom resource definitions: an API server must be able to take them.
#![cfg(feature = "kube")]

use kube::CustomResourceExt;
use scrapering_crds::{ScrapeJob, ScrapeRing};
use serde_json::Value;

fn definitions() -> [Value; 2] {
    [ScrapeJob::crd(), ScrapeRing::crd()].map(|crd| serde_json::to_value(crd).expect("a definition is JSON"))
}

/// Every object below `value`, itself included.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a serde_json::Map<String, Value>>) {
    match value {
        Value::Object(map) => {
            found.push(map);
            map.values().for_each(|inner| objects(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| objects(inner, found)),
        _ => {}
    }
}

#[test]
fn names_and_columns_are_those_that_people_type() {
    let [job, ring] = definitions();
    for (crd, short) in [(&job, "sjob"), (&ring, "sring")] {
        assert_eq!(crd["spec"]["group"], "scrapering.io");
        assert_eq!(crd["spec"]["names"]["shortNames"], serde_json::json!([short]));
        assert_eq!(crd["spec"]["names"]["categories"], serde_json::json!(["scraping"]));
        assert_eq!(crd["spec"]["versions"][0]["name"], "v1alpha1");
    }
}

#[test]
fn schemas_are_structural_and_hold_no_format_that_servers_warn_of() {
    for crd in definitions() {
        let mut found = Vec::new();
        objects(&crd["spec"]["versions"][0]["schema"], &mut found);
        for object in found {
            assert!(!object.contains_key("$ref") && !object.contains_key("$defs"), "{object:?}");
            assert_ne!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{object:?}");
            let format = object.get("format").and_then(Value::as_str).unwrap_or("int64");
            assert!(["int32", "int64", "date-time"].contains(&format), "{format}");
        }
    }
}

#[test]
fn every_field_of_both_specs_is_described() {
    for crd in definitions() {
        let mut found = Vec::new();
        objects(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], &mut found);
        for properties in found.iter().filter_map(|object| object.get("properties")?.as_object()) {
            for (name, schema) in properties {
                assert!(schema.get("description").is_some(), "{name} has no description: {schema}");
            }
        }
    }
}

#[test]
fn fields_within_fields_are_written_out_four_times() {
    let [job, _] = definitions();
    let mut level = &job["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["extract"]
        ["items"];
    for _ in 0..4 {
        level = &level["properties"]["fields"]["items"];
        assert_eq!(level["properties"]["type"]["default"], "text");
    }
    assert!(level["properties"].get("fields").is_none());
}
