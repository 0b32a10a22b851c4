//! The reference of every field, as a page for people: what `kubectl explain` says, with types, bounds and defaults, in one place.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

const HEAD: &str = "# Every field\n\n\
    <!-- Made by `make manifests`; a change here is lost. -->\n\n\
    What `kubectl explain` says, in one place. A field is optional unless it is marked *required*; a list ends in `[]`.\n";
/// Deeper, only the types of Kubernetes itself go; its own documentation describes them.
const DEEPEST: usize = 9;
/// Types of Kubernetes itself, by the fields that are of one: their own fields are not repeated here.
const FOREIGN: [&str; 9] = [
    "affinity",
    "conditions",
    "from",
    "gatewayFrom",
    "resources",
    "to",
    "tolerations",
    "topologySpreadConstraints",
    "metadata",
];

/// The whole page.
pub(crate) fn page(definitions: &[CustomResourceDefinition]) -> serde_json::Result<String> {
    let mut page = HEAD.to_owned();
    for definition in definitions {
        let definition = serde_json::to_value(definition)?;
        let (kind, version) = (&definition["spec"]["names"]["kind"], &definition["spec"]["versions"][0]);
        let schema = &version["schema"]["openAPIV3Schema"];
        let word = kind.as_str().unwrap_or_default();
        write!(page, "\n## {word}\n\n{}\n", text(&schema["description"])).expect("a String takes everything");
        for part in ["spec", "status"] {
            write!(page, "\n### {word}: {part}\n\n").expect("a String takes everything");
            page.push_str("| Field | Type | Description |\n|---|---|---|\n");
            rows(part, &schema["properties"][part], 0, &mut page);
        }
    }
    Ok(page)
}

/// A row for each field below a schema, in the order of their names.
fn rows(path: &str, schema: &Value, depth: usize, page: &mut String) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let is_list = field["items"].is_object();
        let below = format!("{path}.{name}{}", if is_list { "[]" } else { "" });
        let mark = if required.contains(&name.as_str()) { " *required*" } else { "" };
        let told = told_elsewhere(&below);
        let said = told.map_or_else(|| text(&field["description"]), |told| format!("As {told}."));
        writeln!(page, "| `{below}`{mark} | {} | {said} |", kind_of(field)).expect("a String takes everything");
        if depth < DEEPEST && told.is_none() && !FOREIGN.contains(&name.as_str()) {
            rows(&below, if is_list { &field["items"] } else { field }, depth + 1, page);
        }
    }
}

/// Where a field is told of whose own fields are the same as those of another one.
fn told_elsewhere(path: &str) -> Option<&'static str> {
    match path {
        "spec.jobTemplate.spec" => Some("the spec of a [ScrapeJob](#scrapejob-spec)"),
        path if path.ends_with(".fields[].fields[]") => {
            Some("`fields[]`, the fields of an item, at most four levels deep")
        }
        _ => None,
    }
}

/// A description on one line of a table.
fn text(description: &Value) -> String {
    description.as_str().unwrap_or_default().replace('|', "\\|").replace('\n', " ")
}

/// Type, choices, bounds and default of a field.
fn kind_of(field: &Value) -> String {
    let inner = if field["items"].is_object() { &field["items"] } else { field };
    let mut kind = match inner["enum"].as_array() {
        Some(values) => values.iter().map(code).collect::<Vec<_>>().join(", "),
        None if inner["additionalProperties"].is_object() => "map".to_owned(),
        None if inner["x-kubernetes-int-or-string"] == true => "integer or string".to_owned(),
        None if inner["type"].is_null() => "any".to_owned(),
        None => inner["format"]
            .as_str()
            .filter(|format| *format == "date-time")
            .map_or_else(|| text(&inner["type"]), |_| "time".to_owned()),
    };
    match (inner["minimum"].as_f64(), inner["maximum"].as_f64()) {
        (Some(least), Some(most)) => write!(kind, ", {least} to {most}"),
        (Some(least), None) => write!(kind, ", at least {least}"),
        (None, Some(most)) => write!(kind, ", at most {most}"),
        (None, None) => Ok(()),
    }
    .expect("a String takes everything");
    let default = &field["default"];
    if !default.is_null() && !default.is_object() {
        write!(kind, "; default {}", code(default)).expect("a String takes everything");
    }
    kind
}

fn code(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("`{}`", if text.is_empty() { "\"\"" } else { &text })
}
