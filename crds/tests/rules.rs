//! Every rule of the definitions lets what is right pass and refuses what is wrong, as an API server would judge.

#[path = "rules/cases.rs"]
mod cases;

use std::collections::BTreeSet;
use std::fs;

use cases::Kind::{self, Job, Ring, Schedule};
use cases::{Case, bad, good};
use kube_cel::ValidationError;
use scrapering_crds::ScrapeJobFile;
use serde_json::Value;

fn schemas() -> [Value; 3] {
    scrapering_crds::definitions().map(|definition| {
        let definition = serde_json::to_value(definition).expect("a definition is JSON");
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    })
}

fn refusals(schemas: &[Value; 3], kind: Kind, old: Option<&Value>, new: &Value) -> Vec<ValidationError> {
    let schema = &schemas[match kind {
        Job => 0,
        Ring => 1,
        Schedule => 2,
    }];
    kube_cel::Validator::new()
        .validate(schema, new, old)
        .err()
        .map(kube_cel::ValidationErrors::into_vec)
        .unwrap_or_default()
}

#[test]
fn what_is_right_passes_every_rule() {
    let schemas = schemas();
    for (kind, old, new) in good() {
        let refusals = refusals(&schemas, kind, old.as_ref(), &new);
        assert!(refusals.is_empty(), "{kind:?} {new}\n{refusals:#?}");
    }
}

#[test]
fn every_good_job_of_the_corpus_passes_every_rule() {
    let (schemas, mut count) = (schemas(), 0);
    for entry in fs::read_dir("../examples/corpus/good").expect("the corpus") {
        let path = entry.expect("an entry").path();
        // What this version writes back is what `kubectl apply` would be given: names and values, without aliases.
        let job = ScrapeJobFile::parse(&fs::read_to_string(&path).expect("a text")).expect("a good job");
        let refusals = refusals(&schemas, Job, None, &serde_json::to_value(job).expect("JSON"));
        assert!(refusals.is_empty(), "{}\n{refusals:#?}", path.display());
        count += 1;
    }
    assert!(count >= 10, "the corpus has only {count} good jobs");
}

#[test]
fn what_is_wrong_is_refused_by_one_rule_that_says_why() {
    let schemas = schemas();
    for Case { kind, old, new, says } in bad() {
        let refusals = refusals(&schemas, kind, old.as_ref(), &new);
        assert_eq!(refusals.len(), 1, "{kind:?} {says} {new}\n{refusals:#?}");
        assert!(refusals[0].message.contains(says), "{says}\n{refusals:#?}");
    }
}

/// Every rule in a schema and below it.
fn rules(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(entries) => {
            let own = entries.get("x-kubernetes-validations").and_then(Value::as_array);
            found.extend(own.into_iter().flatten().filter_map(|rule| Some(rule["rule"].as_str()?.to_owned())));
            entries.values().for_each(|inner| rules(inner, found));
        }
        Value::Array(entries) => entries.iter().for_each(|inner| rules(inner, found)),
        _ => {}
    }
}

#[test]
fn no_rule_is_without_a_case_that_breaks_it() {
    let schemas = schemas();
    let mut all = BTreeSet::new();
    schemas.iter().for_each(|schema| rules(schema, &mut all));
    assert!(all.len() > 20, "{all:#?}");
    for Case { kind, old, new, .. } in bad() {
        for refusal in refusals(&schemas, kind, old.as_ref(), &new) {
            all.remove(&refusal.rule);
        }
    }
    assert!(all.is_empty(), "rules that no case breaks:\n{all:#?}");
}
