//! The custom resource definitions: an API server must be able to take them.
#![cfg(feature = "kube")]

use scrapering_crds::job::MUTABLE;
use serde_json::{Map, Value};

/// ScrapeJob, ScrapeRing and ScrapeSchedule.
fn definitions() -> [Value; 3] {
    scrapering_crds::definitions().map(|definition| serde_json::to_value(definition).expect("a definition is JSON"))
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// Every object below `value`, itself included.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
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
    for (crd, short) in definitions().iter().zip(["sjob", "sring", "ssched"]) {
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

/// The fields below a schema, by their paths.
fn fields<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(&path, field, found);
        found.push((path, field));
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            fields(&format!("{path}[]"), &schema[inner], found);
            found.push((format!("{path}[]"), &schema[inner]));
        }
    }
}

fn all_fields(definition: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        fields(part, &schema(definition)["properties"][part], &mut found);
    }
    assert!(found.len() > 20, "the walk finds next to nothing");
    found
}

#[test]
fn every_field_is_described() {
    for definition in definitions() {
        for (path, field) in all_fields(&definition).into_iter().filter(|(path, _)| !path.ends_with("[]")) {
            assert!(field["description"].is_string(), "{path} has no description: {field}");
        }
    }
}

#[test]
fn every_list_map_and_text_has_a_bound() {
    for definition in definitions() {
        for (path, field) in all_fields(&definition) {
            let is_dated = field["format"] == "date-time";
            let bound = match field["type"].as_str() {
                Some("array") => "maxItems",
                Some("object") if !field["additionalProperties"].is_null() => "maxProperties",
                Some("string") if field["enum"].is_null() && !is_dated => "maxLength",
                _ => continue,
            };
            assert!(field[bound].is_u64(), "{path} has no {bound}: {field}");
        }
    }
}

#[test]
fn nothing_may_be_null() {
    for definition in definitions() {
        for (path, field) in all_fields(&definition) {
            assert!(field["nullable"] != true, "{path} may be null, which the server would keep and own");
        }
    }
}

#[test]
fn lists_of_conditions_and_members_are_merged_by_their_keys() {
    for definition in definitions() {
        let status = &schema(&definition)["properties"]["status"]["properties"];
        assert_eq!(status["conditions"]["x-kubernetes-list-type"], "map");
        assert_eq!(status["conditions"]["x-kubernetes-list-map-keys"], serde_json::json!(["type"]));
    }
    let [_, ring, _] = definitions();
    let members = &schema(&ring)["properties"]["status"]["properties"]["members"];
    assert_eq!(members["x-kubernetes-list-map-keys"], serde_json::json!(["name"]));
}

#[test]
fn every_field_of_a_job_is_held_fixed_except_those_that_may_change() {
    let [job, _, schedule] = definitions();
    let spec = &schema(&job)["properties"]["spec"];
    let rules = spec["x-kubernetes-validations"].to_string();
    for name in spec["properties"].as_object().expect("properties").keys() {
        let fixed = rules.contains(&format!("self.{name} == oldSelf.{name}"));
        assert_eq!(fixed, !MUTABLE.contains(&name.as_str()), "{name}");
    }
    assert!(!schema(&schedule).to_string().contains("oldSelf"), "the jobs of a schedule may change");
}

#[test]
fn a_ring_scales_and_jobs_are_selected_by_ring_and_phase() {
    let [job, ring, _] = definitions();
    let version = &ring["spec"]["versions"][0];
    assert_eq!(version["subresources"]["scale"]["labelSelectorPath"], ".status.selector");
    let selectable = &job["spec"]["versions"][0]["selectableFields"];
    assert_eq!(*selectable, serde_json::json!([{"jsonPath": ".spec.ringRef.name"}, {"jsonPath": ".status.phase"}]));
}

#[test]
fn fields_within_fields_are_written_out_four_times() {
    let [job, _, _] = definitions();
    let mut level = &job["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["extract"]
        ["items"];
    for _ in 0..4 {
        level = &level["properties"]["fields"]["items"];
        assert_eq!(level["properties"]["type"]["default"], "text");
    }
    assert!(level["properties"].get("fields").is_none());
}
