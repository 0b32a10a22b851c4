//! Every rule of the definitions lets what is right pass and refuses what is wrong, as an API server would judge.

use std::collections::BTreeSet;
use std::fs;

use kube_cel::ValidationError;
use scrapering_crds::ScrapeJobFile;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Job,
    Ring,
    Schedule,
}

use Kind::{Job, Ring, Schedule};

/// Something to write, what it is written over (nothing: it is created), and what the answer must contain.
struct Case {
    kind: Kind,
    old: Option<Value>,
    new: Value,
    says: &'static str,
}

fn schemas() -> [Value; 3] {
    scrapering_crds::definitions().map(|definition| {
        let definition = serde_json::to_value(definition).expect("a definition is JSON");
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    })
}

/// An object of the kind that uses whatever a rule looks at.
fn base(kind: Kind) -> Value {
    let job = json!({
        "seeds": [{ "url": "https://example.org/" }],
        "request": {
            "userAgent": "Examplebot/1.0 (+https://example.org/bot)",
            "headers": [{ "name": "accept", "value": "a" }, { "name": "accept-language", "value": "b" }],
        },
        "politeness": { "delay": "1h30m", "robots": { "userAgentToken": "examplebot", "maxCrawlDelay": "24h" } },
        "limits": { "maxDuration": "90m", "maxBodyBytes": "10Mi" },
        "retry": { "backoff": { "initial": "5s", "max": "5s" } },
        "extract": [{ "name": "item", "fields": [
            { "name": "title" },
            { "name": "image", "type": "attribute", "attribute": "src" },
            { "name": "links", "type": "list", "of": "attribute", "attribute": "href" },
            { "name": "price", "type": "nested", "fields": [{ "name": "amount" }] },
        ] }],
    });
    let spec = match kind {
        Job => job,
        Schedule => json!({ "schedule": "0 4 * * *", "jobTemplate": { "spec": job } }),
        Ring => json!({
            "replicas": 5,
            "storage": { "size": "10Gi", "storageClassName": "fast" },
            "scraping": { "allowedPrivateCidrs": ["10.20.0.0/16", "fd00::/8"] },
            "security": { "networkPolicy": { "deniedCidrs": ["198.51.100.0/24"] } },
            "podLabels": { "team": "search" },
        }),
    };
    json!({ "apiVersion": "scrapering.io/v1alpha1", "kind": "x", "metadata": { "name": "main" }, "spec": spec })
}

/// The base with the value at the end of `path` (a JSON pointer) set, or taken away by null.
fn with(kind: Kind, path: &str, value: Value) -> Value {
    let mut object = base(kind);
    let (parent, key) = path.rsplit_once('/').expect("a pointer");
    let parent =
        object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")).as_object_mut().expect("an object");
    if value.is_null() {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    object
}

fn field(kind: Kind, field: Value) -> Value {
    let spec = if kind == Schedule { "/spec/jobTemplate/spec" } else { "/spec" };
    with(kind, &format!("{spec}/extract"), json!([{ "name": "item", "fields": [field] }]))
}

/// What must be refused. Between them they break every rule there is; the last test holds them to that.
fn bad() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut create = |kind, new, says| cases.push(Case { kind, old: None, new, says });
    for (kind, longest) in [(Job, 63), (Ring, 40), (Schedule, 52)] {
        create(kind, with(kind, "/metadata/name", json!("a".repeat(longest + 1))), "metadata.name");
        create(kind, with(kind, "/metadata/name", json!("a.b")), "metadata.name");
    }
    for (kind, spec) in [(Job, "/spec"), (Schedule, "/spec/jobTemplate/spec")] {
        let at = |path: &str| format!("{spec}/{path}");
        create(kind, with(kind, &at("politeness/robots/userAgentToken"), json!("otherbot")), "does not occur");
        create(kind, with(kind, &at("politeness/robots/maxCrawlDelay"), json!("25h")), "at most 24h");
        create(kind, with(kind, &at("politeness/delay"), json!("24h1s")), "at most 24h");
        let nameless = json!({ "seeds": [{ "url": "http://a.example" }], "request": { "userAgent": "1bot" } });
        create(kind, with(kind, spec, nameless), "no product token");
        let own = json!([{ "name": "HOST", "value": "a.example" }]);
        create(kind, with(kind, &at("request/headers"), own), "by the node itself");
        let twice = json!([{ "name": "Accept", "value": "a" }, { "name": "accept", "value": "b" }]);
        create(kind, with(kind, &at("request/headers"), twice), "set twice");
        create(kind, with(kind, &at("request/timeouts"), json!({ "total": "11m" })), "from 100ms to 10m");
        create(kind, with(kind, &at("request/timeouts"), json!({ "total": "99ms" })), "from 100ms to 10m");
        create(kind, with(kind, &at("limits/maxDuration"), json!("500ms")), "from 1s to 87600h");
        create(kind, with(kind, &at("limits/maxBodyBytes"), json!("2Gi")), "from 1Ki to 1Gi");
        create(kind, with(kind, &at("limits/maxBodyBytes"), json!(1023)), "from 1Ki to 1Gi");
        create(kind, with(kind, &at("retry/backoff/initial"), json!("6s")), "longer than max");
        create(kind, with(kind, &at("retry/backoff"), json!({ "initial": "0s", "max": "25h" })), "from 1ms to 24h");
        create(kind, field(kind, json!({ "name": "a", "type": "attribute" })), "needs the name of one");
        create(kind, field(kind, json!({ "name": "a", "type": "list", "of": "attribute" })), "needs the name of one");
        create(kind, field(kind, json!({ "name": "a", "attribute": "src" })), "means nothing");
        create(kind, field(kind, json!({ "name": "a", "of": "url" })), "of type list");
        let both = json!({ "name": "a", "type": "list", "of": "url", "fields": [{ "name": "b" }] });
        create(kind, field(kind, both), "without of");
        create(kind, field(kind, json!({ "name": "a", "fields": [{ "name": "b" }] })), "without of");
        create(kind, field(kind, json!({ "name": "a", "type": "nested" })), "at least one field");
    }
    create(Ring, with(Ring, "/spec/scraping/allowedPrivateCidrs", json!(["10.0.0.1"])), "must be networks");
    create(Ring, with(Ring, "/spec/security/networkPolicy/deniedCidrs", json!(["ten"])), "must be networks");
    create(Ring, with(Ring, "/spec/security/tls", json!({ "leafDuration": "59s" })), "from 1m to 8760h");
    create(Ring, with(Ring, "/spec/scaleIn", json!({ "timeout": "169h" })), "from 1m to 168h");
    create(Ring, with(Ring, "/spec/podLabels", json!({ "app.kubernetes.io/name": "x" })), "set by the operator");

    let mut update = |kind, path: &str, value| {
        cases.push(Case { kind, old: Some(base(kind)), new: with(kind, path, value), says: "cannot" });
    };
    update(Ring, "/spec/storage/size", json!("9Gi"));
    update(Ring, "/spec/storage/storageClassName", json!("slow"));
    update(Ring, "/spec/storage/storageClassName", Value::Null);
    update(Job, "/spec/seeds", json!([{ "url": "https://example.com/" }]));
    update(Job, "/spec/ringRef", json!({ "name": "other" }));
    update(Job, "/spec/scope", json!({ "maxDepth": 1 }));
    update(Job, "/spec/follow", json!([]));
    update(Job, "/spec/extract", json!([]));
    update(Job, "/spec/politeness/delay", json!("2s"));
    update(Job, "/spec/request/userAgent", json!("Examplebot/2.0"));
    update(Job, "/spec/limits/maxBodyBytes", json!(2048));
    update(Job, "/spec/retry/maxRetries", json!(7));
    update(Job, "/spec/activeDeadlineSeconds", json!(60));
    update(Job, "/spec/circuitBreaker", json!({ "maxOpens": 1 }));
    update(Job, "/spec/url", json!({ "maxLength": 500 }));
    let smaller = with(Ring, "/spec/replicas", json!(2));
    cases.push(Case { kind: Ring, old: Some(base(Ring)), new: smaller, says: "below three" });
    cases
}

/// What must pass, though it is near what must not.
fn good() -> Vec<(Kind, Option<Value>, Value)> {
    let over_base = |kind, path: &str, value| (kind, Some(base(kind)), with(kind, path, value));
    let mut spoilt = base(Ring);
    spoilt["spec"]["storage"]["size"] = json!("lots");
    vec![
        (Job, None, base(Job)),
        (Ring, None, base(Ring)),
        (Schedule, None, base(Schedule)),
        (Job, Some(base(Job)), base(Job)),
        (Schedule, Some(base(Schedule)), base(Schedule)),
        (Job, None, with(Job, "/spec", json!({ "seeds": [{ "url": "http://a.example" }] }))),
        (Ring, None, with(Ring, "/spec", json!({}))),
        (Job, None, with(Job, "/metadata/name", json!("a".repeat(63)))),
        (Job, None, with(Job, "/spec/limits/maxBodyBytes", json!(1024))),
        over_base(Job, "/spec/suspend", json!(true)),
        over_base(Job, "/spec/ttlSecondsAfterFinished", json!(60)),
        over_base(Schedule, "/spec/jobTemplate/spec/seeds", json!([{ "url": "http://b.example/" }])),
        over_base(Ring, "/spec/replicas", json!(3)),
        over_base(Ring, "/spec/replicas", json!(6)),
        over_base(Ring, "/spec/storage/size", json!("10240Mi")),
        over_base(Ring, "/spec/storage/size", json!("1Ti")),
        over_base(Ring, "/spec/paused", json!(true)),
        // What was stored before the schema was stricter can be mended.
        (Ring, Some(spoilt), base(Ring)),
        (Ring, None, with(Ring, "/spec/replicas", json!(2))),
        (Ring, Some(with(Ring, "/spec/replicas", json!(1))), base(Ring)),
    ]
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
