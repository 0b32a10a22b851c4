//! What an API server must refuse and what it must take: the cases of every rule of the definitions.
//!
//! They are judged here by an interpreter of the rules, and by a real API server where there is one.

use serde_json::{Value, json};

/// Which definition a document is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    Ring,
    Schedule,
}

use Kind::{Job, Ring, Schedule};

impl Kind {
    /// As in a document's `kind`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Job => "ScrapeJob",
            Ring => "ScrapeRing",
            Schedule => "ScrapeSchedule",
        }
    }
}

/// Something to write, what it is written over (nothing: it is created), and what the answer must contain.
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) old: Option<Value>,
    pub(crate) new: Value,
    pub(crate) says: &'static str,
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
            "gateway": { "oidc": {
                "issuer": "https://kubernetes.default.svc", "audience": "scrapering", "cidrs": ["10.96.0.1/32"],
                "scopes": ["jobs:read"], "caConfigMapRef": { "name": "kube-root-ca.crt" },
            } },
            "security": { "networkPolicy": { "deniedCidrs": ["198.51.100.0/24"] } },
            "telemetry": { "otlp": { "endpoint": "http://collector.observability:4317", "to": [
                { "namespaceSelector": {}, "podSelector": { "matchLabels": { "app": "collector" } } },
            ] } },
            "podLabels": { "team": "search" },
        }),
    };
    json!({ "apiVersion": "scrapering.io/v1alpha1", "kind": kind.word(), "metadata": { "name": "main" }, "spec": spec })
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
pub(crate) fn bad() -> Vec<Case> {
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
        create(kind, with(kind, &at("politeness/robots/cacheTTL"), json!("59s")), "from 1m to 24h");
        create(kind, with(kind, &at("politeness/robots/cacheTTL"), json!("24h1s")), "from 1m to 24h");
        create(kind, with(kind, &at("politeness/delay"), json!("24h1s")), "at most 24h");
        create(kind, with(kind, &at("politeness/delayPerIP"), json!("24h1s")), "at most 24h");
        let per_host = |rule| with(kind, &at("politeness/perHost"), json!([rule]));
        create(kind, per_host(json!({ "host": "a.example" })), "changes nothing");
        create(kind, per_host(json!({ "host": "a.example", "delay": "24h1s" })), "at most 24h");
        create(kind, per_host(json!({ "host": "a.example", "delay": "1h" })), "shorter than politeness.delay");
        let wider = json!({ "host": "a.example", "concurrentRequests": 2 });
        create(kind, per_host(wider), "above politeness.concurrentRequestsPerHost");
        let throttle = |field: &str, value| with(kind, &at("politeness/autoThrottle"), json!({ field: value }));
        create(kind, throttle("targetConcurrency", json!(0)), "from 0.01 to 64");
        create(kind, throttle("maxDelay", json!("0s")), "from 1ms to 24h");
        create(kind, throttle("maxDelay", json!("25h")), "from 1ms to 24h");
        let adaptive = |value| with(kind, &at("recrawl"), json!({ "adaptive": value }));
        create(kind, adaptive(json!({ "min": "10ms" })), "from 1s to 8760h");
        create(kind, adaptive(json!({ "max": "8761h" })), "from 1s to 8760h");
        create(kind, adaptive(json!({ "min": "2h", "max": "1h" })), "longer than max");
        let window = json!([{ "from": "08:00", "to": "09:00", "timeZone": "Local" }]);
        create(kind, with(kind, &at("politeness/windows"), window), "no time zone");
        create(kind, with(kind, &at("circuitBreaker"), json!({ "openFor": "999ms" })), "from 1s to 24h");
        create(kind, with(kind, &at("circuitBreaker"), json!({ "openFor": "25h" })), "from 1s to 24h");
        create(kind, with(kind, &at("scope"), json!({ "scopeType": "custom" })), "is empty");
        let nameless = json!({ "seeds": [{ "url": "http://a.example" }], "request": { "userAgent": "1bot" } });
        create(kind, with(kind, spec, nameless), "no product token");
        let own = json!([{ "name": "HOST", "value": "a.example" }]);
        create(kind, with(kind, &at("request/headers"), own), "by the node itself");
        let twice = json!([{ "name": "Accept", "value": "a" }, { "name": "accept", "value": "b" }]);
        create(kind, with(kind, &at("request/headers"), twice), "set twice");
        for timeout in ["connect", "firstByte", "total"] {
            create(kind, with(kind, &at("request/timeouts"), json!({ timeout: "11m" })), "from 100ms to 10m");
            create(kind, with(kind, &at("request/timeouts"), json!({ timeout: "99ms" })), "from 100ms to 10m");
        }
        create(kind, with(kind, &at("limits/maxDuration"), json!("500ms")), "from 1s to 87600h");
        create(kind, with(kind, &at("limits/maxBodyBytes"), json!("2Gi")), "from 1Ki to 1Gi");
        create(kind, with(kind, &at("limits/maxBodyBytes"), json!(1023)), "from 1Ki to 1Gi");
        create(kind, with(kind, &at("limits/maxBytes"), json!(1023)), "from 1Ki to 999999Ti");
        create(kind, with(kind, &at("limits/maxBytes"), json!("1000000Ti")), "from 1Ki to 999999Ti");
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
        let nested = |of_objects: &str, value: Value| {
            let mut whole = json!({ "name": "a", "type": "nested", "fields": [{ "name": "b" }] });
            whole[of_objects] = value;
            field(kind, whole)
        };
        create(kind, nested("pattern", json!("x")), "for objects");
        create(kind, nested("transform", json!([{ "op": "trim" }])), "for objects");
        create(kind, field(kind, json!({ "name": "a", "format": "%Y" })), "type date");
        create(kind, field(kind, json!({ "name": "a", "type": "list", "of": "url", "path": "$.a" })), "type json");
        for step in [
            json!({ "op": "replace", "with": "x" }),
            json!({ "op": "prefix" }),
            json!({ "op": "split" }),
            json!({ "op": "lower", "separator": "," }),
            json!({ "op": "join", "with": "," }),
            json!({ "op": "suffix", "with": ".", "find": "x" }),
        ] {
            create(kind, field(kind, json!({ "name": "a", "transform": [step] })), "without what it needs");
        }
        let item = |key: &str, value: Value, of: &Value| {
            let mut item = json!({ "name": "item", "from": "html", "fields": [of] });
            item[key] = value;
            with(kind, &at("extract"), json!([item]))
        };
        let plain = json!({ "name": "a" });
        create(kind, item("key", json!(["b"]), &plain), "not one of the fields");
        let attribute = json!({ "name": "a", "type": "number", "attribute": "x" });
        create(kind, item("from", json!("meta"), &attribute), "only items from html");
        create(kind, item("from", json!("json"), &json!({ "name": "a", "type": "html" })), "only items from html");
        let both = json!({ "name": "a", "selector": "a", "xpath": ".//a" });
        create(kind, field(kind, both), "cannot stand beside selector");
        let both = json!([{ "selector": "a", "xpath": "//a" }]);
        create(kind, with(kind, &at("follow"), both), "cannot stand beside selector");
        let xpath = json!({ "name": "a", "xpath": ".//a" });
        create(kind, item("from", json!("json"), &xpath), "which is only for items from html");
        create(
            kind,
            with(
                kind,
                &at("extract"),
                json!([{ "name": "item", "from": "meta", "baseXPath": "//a", "fields": [plain] }]),
            ),
            "is only for items from html",
        );
        create(
            kind,
            with(
                kind,
                &at("extract"),
                json!([{ "name": "item", "from": "html", "baseXPath": "//a", "baseSelector": "a", "fields": [plain] }]),
            ),
            "cannot stand beside baseSelector",
        );
    }
    let hook =
        json!([{ "url": "https://a.example/", "secret": "sixteen-characters", "secretRef": { "name": "hook" } }]);
    create(Job, with(Job, "/spec/webhooks", hook), "cannot stand beside secret");
    let keys =
        json!({ "bucket": "out", "accessKeyId": "a", "secretAccessKey": "b", "credentialsRef": { "name": "c" } });
    create(Job, with(Job, "/spec/outputs", json!([{ "s3": keys }])), "or credentialsRef alone");
    let half = json!({ "bucket": "out", "accessKeyId": "a" });
    create(Job, with(Job, "/spec/outputs", json!([{ "s3": half }])), "needs accessKeyId and secretAccessKey");
    create(Job, with(Job, "/spec/outputs", json!([{ "gcs": { "bucket": "out" } }])), "needs either serviceAccountKey");
    let packed = json!({ "bucket": "out", "credentialsRef": { "name": "c" }, "format": "warc", "compression": "gzip" });
    create(Job, with(Job, "/spec/outputs", json!([{ "gcs": packed }])), "means nothing for this format");
    create(Schedule, with(Schedule, "/spec/timeZone", json!("Local")), "no time zone");
    create(Ring, with(Ring, "/spec/scraping/allowedPrivateCidrs", json!(["10.0.0.1"])), "must be networks");
    create(Ring, with(Ring, "/spec/security/networkPolicy/deniedCidrs", json!(["ten"])), "must be networks");
    create(Ring, with(Ring, "/spec/security/tls", json!({ "leafDuration": "59s" })), "from 1m to 8760h");
    let issuer = json!({ "name": "internal", "kind": "ClusterIssuer" });
    create(
        Ring,
        with(Ring, "/spec/security/tls", json!({ "source": "CertManager" })),
        "needed with the source CertManager",
    );
    create(
        Ring,
        with(Ring, "/spec/security/tls", json!({ "issuerRef": issuer })),
        "needed with the source CertManager",
    );
    let short = json!({ "source": "CertManager", "issuerRef": issuer, "leafDuration": "59m" });
    create(Ring, with(Ring, "/spec/security/tls", short), "at least 1h");
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
    update(Job, "/spec/backoffLimit", json!(3));
    update(Job, "/spec/circuitBreaker", json!({ "maxOpens": 1 }));
    update(Job, "/spec/dedup", json!({ "content": "text" }));
    update(Job, "/spec/recrawl", json!({ "emit": "changed" }));
    update(Job, "/spec/url", json!({ "maxLength": 500 }));
    update(Job, "/spec/webhooks", json!([]));
    update(Job, "/spec/outputs", json!([{ "ring": {} }]));
    let smaller = with(Ring, "/spec/replicas", json!(2));
    cases.push(Case { kind: Ring, old: Some(base(Ring)), new: smaller, says: "below three" });
    cases
}

/// What must pass, though it is near what must not.
pub(crate) fn good() -> Vec<(Kind, Option<Value>, Value)> {
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
        (Job, None, with(Job, "/spec/politeness/robots/cacheTTL", json!("1m"))),
        (Job, None, with(Job, "/spec/limits/maxBodyBytes", json!(1024))),
        (Job, None, with(Job, "/spec/limits/maxBytes", json!("999999Ti"))),
        (Job, None, with(Job, "/spec/scope", json!({ "scopeType": "custom", "include": ["/a/"] }))),
        (Job, None, with(Job, "/spec/circuitBreaker", json!({ "openFor": "1s" }))),
        (
            Job,
            None,
            with(Job, "/spec/request/timeouts", json!({ "connect": "100ms", "firstByte": "10m", "total": "1s" })),
        ),
        (
            Job,
            None,
            with(
                Job,
                "/spec/politeness",
                json!({
                    "delay": "1s", "concurrentRequestsPerHost": 2, "delayPerIP": "24h",
                    "autoThrottle": { "targetConcurrency": 0.01, "maxDelay": "1ms" },
                    "perHost": [{ "host": "a.example", "delay": "1s" }, { "host": "b.example", "concurrentRequests": 2 }],
                    "windows": [{ "from": "08:00", "to": "09:00", "timeZone": "Europe/Madrid" }],
                }),
            ),
        ),
        (Schedule, None, with(Schedule, "/spec/timeZone", json!("America/Argentina/Buenos_Aires"))),
        over_base(Job, "/spec/suspend", json!(true)),
        over_base(Job, "/spec/priority", json!(90)),
        over_base(Job, "/spec/parallelism", json!(3)),
        over_base(Job, "/spec/ttlSecondsAfterFinished", json!(60)),
        over_base(Schedule, "/spec/jobTemplate/spec/seeds", json!([{ "url": "http://b.example/" }])),
        over_base(Ring, "/spec/replicas", json!(3)),
        over_base(Ring, "/spec/replicas", json!(6)),
        over_base(Ring, "/spec/storage/size", json!("10240Mi")),
        over_base(Ring, "/spec/storage/size", json!("1Ti")),
        over_base(Ring, "/spec/paused", json!(true)),
        over_base(
            Ring,
            "/spec/security/tls",
            json!({ "source": "CertManager", "issuerRef": { "name": "internal" }, "leafDuration": "1h" }),
        ),
        // What was stored before the schema was stricter can be mended.
        (Ring, Some(spoilt), base(Ring)),
        (Ring, None, with(Ring, "/spec/replicas", json!(2))),
        (Ring, Some(with(Ring, "/spec/replicas", json!(1))), base(Ring)),
    ]
}
