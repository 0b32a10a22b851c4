//! `crdgen CHART_DIR YAML_DIR REFERENCE`: writes the custom resource definitions, one file a kind, as templates of the chart and as
//! plain YAML for those who do without the chart; and a page with every field for people.
//!
//! In the chart the definitions are templates rather than files of the chart's `crds/`, because helm never upgrades those. The text is
//! made here and not by the chart's functions: helm's own YAML round trip turns a field called `n` into `false` and
//! large integers into floats. Here every string is quoted, and so is every key that YAML could take for something else.

#[path = "crdgen/reference.rs"]
mod reference;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use scrapering_crds::definitions;
use serde_json::Value;

/// What stands around each plain definition; `NAME` and `SPEC` are filled in.
const PLAIN: &str = r#"# Made by `make manifests`; a change here is lost.
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: NAME
  labels:
    app.kubernetes.io/name: scrapering
spec:
SPEC"#;

/// What stands around each definition in the chart.
const TEMPLATE: &str = r#"{{- if .Values.crds.install }}
# Made by `make manifests`; a change here is lost.
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: NAME
  labels:
    {{- include "scrapering.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
spec:
SPEC{{- end }}
"#;

#[allow(clippy::print_stderr, reason = "a tool for the command line")]
fn main() -> ExitCode {
    let directories: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [chart, plain, page] = directories.as_slice() else {
        eprintln!("usage: crdgen CHART_DIR YAML_DIR REFERENCE");
        return ExitCode::from(2);
    };
    for definition in definitions() {
        for (directory, template) in [(chart, TEMPLATE), (plain, PLAIN)] {
            if let Err(error) = write(directory, template, &definition) {
                eprintln!("crdgen: cannot write into {}: {error}", directory.display());
                return ExitCode::FAILURE;
            }
        }
    }
    if let Err(error) = reference::page(&definitions()).map_err(Into::into).and_then(|text| fs::write(page, text)) {
        eprintln!("crdgen: cannot write {}: {error}", page.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn write(directory: &Path, template: &str, definition: &CustomResourceDefinition) -> io::Result<()> {
    let spec = serde_json::to_value(&definition.spec)?;
    let mut body = String::new();
    block(&spec, 2, &mut body);
    let name = definition.metadata.name.as_deref().unwrap_or_default();
    if template == TEMPLATE {
        // Descriptions may hold what the chart would take for an action of its own.
        body = body.replace("{{", "{{ \"{{\" }}");
    }
    let text = template.replace("NAME", name).replace("SPEC", &body);
    fs::write(directory.join(format!("{}.yaml", definition.spec.names.plural)), text)
}

/// Appends a value on lines of its own.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let _ = write!(out, "{:indent$}{}:", "", quoted_key(key));
                let (separator, indent) = if fits_a_line(value) { (' ', 0) } else { ('\n', indent + 2) };
                out.push(separator);
                block(value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut text = String::new();
                block(item, indent + 2, &mut text);
                let _ = write!(out, "{:indent$}- {}", "", text.trim_start());
            }
        }
        // JSON is YAML too.
        small => {
            let _ = writeln!(out, "{:indent$}{small}", "");
        }
    }
}

fn fits_a_line(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

/// The words that YAML 1.1 reads as a truth value or as nothing.
const YAML_WORDS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

fn quoted_key(key: &str) -> String {
    let plain = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !YAML_WORDS.contains(&key.to_ascii_lowercase().as_str())
        && !key.eq_ignore_ascii_case("null");
    if plain { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let value = json!({
            "n": { "y": true, "NULL": null, "$ref": "a: b # c", "x-y": [] },
            "list": [{ "a": 1, "b": { "c": [2, "3"] } }, "on", 9223372036854775807_i64, {}, [1, [2]]],
            "text": "two\nlines, \"quotes\", a back\\slash and é",
            "1": {},
        });
        let mut text = String::new();
        block(&value, 0, &mut text);
        let read: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(read, value, "{text}");
    }

    #[test]
    fn keys_that_yaml_could_misread_are_quoted() {
        for key in ["n", "Yes", "off", "null", "1", "", "$ref", "a b", "-"] {
            assert!(quoted_key(key).starts_with('"'), "{key}");
        }
        assert_eq!(quoted_key("x-kubernetes-list-type"), "x-kubernetes-list-type");
    }
}
