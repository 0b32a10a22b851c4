//! Every field of a document whose shape is wrong, not only the first: what is wrong is noted and taken out, and the rest is read again.

use crate::gateway::problem::BadField;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use std::collections::BTreeSet;

/// Most faults that are told at once.
const MOST: usize = 32;

/// What is wrong with `document` as a `T`; empty if nothing is.
pub(super) fn of<T: DeserializeOwned>(document: &Value) -> Vec<BadField> {
    let (mut rest, mut faults, mut taken) = (document.clone(), Vec::new(), BTreeSet::new());
    while faults.len() < MOST {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(rest.clone()) else { break };
        let message = error.inner().to_string();
        let mut place = names(error.path());
        let named = |prefix: &str| Some(message.strip_prefix(prefix)?.split('`').next()?.to_owned());
        if let Some(missing) = named("missing field `") {
            place.push(missing);
            // What was taken out because it was wrong is not missing.
            if !taken.contains(&place) {
                faults.push(fault(&place, &message));
            }
            place.pop();
        } else {
            if let Some(unknown) = named("unknown field `")
                && place.last() != Some(&unknown)
            {
                place.push(unknown);
            }
            faults.push(fault(&place, &message));
        }
        // What has no place is the whole: nothing is left to read.
        if place.is_empty() || !take(&mut rest, &place) {
            break;
        }
        taken.insert(place);
    }
    faults
}

fn names(path: &Path) -> Vec<String> {
    let segments = path.iter().filter(|segment| !matches!(segment, Segment::Unknown | Segment::Enum { .. }));
    segments.map(ToString::to_string).map(|name| name.trim_matches(['[', ']']).to_owned()).collect()
}

fn fault(place: &[String], message: &str) -> BadField {
    let mut path = String::new();
    for name in place {
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{name}]"));
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(name);
        }
    }
    let names: Vec<&str> = place.iter().map(String::as_str).collect();
    BadField { path: if path.is_empty() { ".".to_owned() } else { path }, ..BadField::below(&names, message) }
}

/// Takes the value at `place` out; elements of a list become absent fields of nothing, so that the others keep their places.
fn take(document: &mut Value, place: &[String]) -> bool {
    let Some((last, above)) = place.split_last() else { return false };
    let mut at = document;
    for name in above {
        let next = match at {
            Value::Object(fields) => fields.get_mut(name),
            Value::Array(elements) => name.parse::<usize>().ok().and_then(|index| elements.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match at {
        Value::Object(fields) => fields.remove(last).is_some(),
        // Only the last element can go without moving others; behind a wrong one nothing more is told.
        Value::Array(elements) => match last.parse::<usize>() {
            Ok(index) if index < elements.len() => {
                elements.truncate(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_crds::ScrapeJobFile;
    use serde_json::json;

    fn pointers(document: &Value) -> Vec<String> {
        of::<ScrapeJobFile>(document).into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn every_wrong_field_is_named_by_its_pointer() {
        let mut document = json!({"apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "metadata": {"name": "j"},
            "spec": {"seeds": [{"url": "https://a.example/"}]}});
        assert_eq!(pointers(&document), [""; 0]);
        document["spec"]["seedz"] = json!(1);
        document["spec"]["limits"] = json!({"maxPages": "many", "maxPagez": 3});
        document["spec"]["extract"] = json!([{"name": "x", "fields": [{"name": "t", "selector": 7}]}]);
        document["metadata"]["labels"] = json!(["no", "map"]);
        let mut found = pointers(&document);
        found.sort();
        let expected = [
            "/metadata/labels",
            "/spec/extract/0/fields/0/selector",
            "/spec/limits/maxPages",
            "/spec/limits/maxPagez",
            "/spec/seedz",
        ];
        assert!(expected.iter().all(|pointer| found.iter().any(|found| found == pointer)), "{found:?}");
    }

    #[test]
    fn what_is_missing_is_named_and_what_was_wrong_is_not_missing_too() {
        assert_eq!(
            pointers(&json!({"apiVersion": "a", "kind": "k", "metadata": {}, "spec": {"seeds": []}})),
            ["/metadata/name"]
        );
        let wrong = json!({"apiVersion": "a", "kind": 7, "metadata": {"name": "j"}, "spec": {"seeds": []}});
        assert_eq!(pointers(&wrong), ["/kind"]);
        assert_eq!(pointers(&json!(7)), [""]);
    }
}
