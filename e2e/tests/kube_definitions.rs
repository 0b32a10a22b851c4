//! The definitions on a real API server: every good job, ring and schedule is taken, and what only a ring can judge is named.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset this test does nothing, and `make test` says so.

#[path = "../../crds/tests/rules/cases.rs"]
mod cases;

use anyhow::{Context, ensure};
use cases::Case;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use scrapering_e2e::kube::{ControlPlane, workplace};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Jobs that take more than a schema and rules to see through: a parser of selectors or patterns, or the ring itself.
const JUDGED_BY_THE_RING: [&str; 50] = [
    "auth-and-header",
    "auth-secret-ref",
    "cookies-secret-ref",
    "cookies-twice",
    "extract-base-selector",
    "extract-base-xpath",
    "extract-base-xpath-attribute",
    "extract-json-css",
    "extract-json-descents",
    "extract-json-union",
    "extract-schema-ref",
    "extract-schema-type",
    "field-format",
    "field-path",
    "field-pattern",
    "field-pattern-large",
    "field-required-default",
    "field-selector",
    "field-too-deep",
    "field-xpath",
    "field-xpath-attribute",
    "field-xpath-below",
    "field-xpath-function",
    "field-xpath-nested",
    "follow-allow",
    "follow-attribute",
    "follow-selector",
    "follow-xpath",
    "follow-xpath-value",
    "headers-secret-ref",
    "match-label-unknown",
    "match-url",
    "metadata-unknown",
    "output-account",
    "output-credentials-ref",
    "output-large-pages",
    "output-same-place",
    "output-warc-without-pages",
    "proxy-secret-ref",
    "scope-allowed-domain-name",
    "scope-exclude-complex",
    "scope-exclude-lookahead",
    "scope-include",
    "status-written",
    "suspend-word",
    "transform-find-regex",
    "transform-join-text",
    "transform-split-list",
    "webhook-secret-base64",
    "webhook-secret-ref",
];

fn documents(folder: &Path) -> anyhow::Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().context("a name")?.to_string_lossy().into_owned();
        for document in serde_saphyr::from_multiple::<Value>(&std::fs::read_to_string(&path)?)? {
            found.push((name.clone(), document));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

const DRY: PostParams = PostParams { dry_run: true, field_manager: None };

/// The objects of a document's kind, in its namespace.
fn objects_like(client: &Client, document: &Value) -> Option<Api<DynamicObject>> {
    let types: TypeMeta = serde_json::from_value(document.clone()).ok()?;
    let (group, version) = types.api_version.rsplit_once('/').unwrap_or(("", &types.api_version));
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    let namespace = document["metadata"]["namespace"].as_str().unwrap_or("default");
    Some(Api::namespaced_with(client.clone(), namespace, &kind))
}

/// Creates the object without keeping it; the server's refusal, if it refuses.
async fn refusal(client: &Client, document: Value) -> Option<String> {
    let objects = objects_like(client, &document)?;
    let Ok(object) = serde_json::from_value::<DynamicObject>(document) else { return Some("no object".to_owned()) };
    objects.create(&DRY, &object).await.err().map(|error| error.to_string())
}

/// Makes the namespaces that documents name, as far as a server takes their names.
async fn make_namespaces(client: &Client, documents: &[(String, Value)]) -> anyhow::Result<()> {
    let named = documents.iter().filter_map(|(_, document)| document["metadata"]["namespace"].as_str());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in named.collect::<BTreeSet<_>>() {
        let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        // One of a name that is no name cannot be made, and so holds no object either.
        drop(namespaces.create(&PostParams::default(), &namespace).await);
    }
    Ok(())
}

/// What the server says to a case: nothing if it takes it, and `None` if not even the object before is taken.
async fn answer(client: &Client, old: Option<Value>, new: Value) -> anyhow::Result<Option<String>> {
    let Some(old) = old else { return Ok(Some(refusal(client, new).await.unwrap_or_default())) };
    let objects = objects_like(client, &old).context("a kind")?;
    let Ok(stored) = objects.create(&PostParams::default(), &serde_json::from_value(old)?).await else {
        return Ok(None);
    };
    let mut next: DynamicObject = serde_json::from_value(new)?;
    next.metadata.resource_version = stored.metadata.resource_version;
    let answer = objects.replace("main", &DRY, &next).await;
    objects.delete("main", &DeleteParams::default()).await?;
    Ok(Some(answer.err().map(|error| error.to_string()).unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_takes_every_good_document_and_refuses_every_bad_one_that_rules_can_see_through() -> anyhow::Result<()>
{
    let Some((assets, folder)) = workplace()? else { return Ok(()) };
    let plane = ControlPlane::start(&assets, folder.path()).await?;
    let client = plane.client();
    for good in ["../examples/corpus/good", "../examples/kubernetes"] {
        let documents = documents(Path::new(good))?;
        make_namespaces(&client, &documents).await?;
        // What another project defines is not for this server.
        let own = documents.into_iter().filter(|(_, document)| document["kind"] != "ScaledObject");
        for (name, document) in own {
            let refused = refusal(&client, document).await;
            ensure!(refused.is_none(), "{good}/{name}: {refused:?}");
        }
    }
    let mut taken = BTreeSet::new();
    let bad = documents(Path::new("../examples/corpus/bad"))?;
    make_namespaces(&client, &bad).await?;
    for (name, document) in bad {
        // What names another kind is not for this server.
        let is_job = document["apiVersion"] == scrapering_crds::API_VERSION && document["kind"] == "ScrapeJob";
        if is_job && refusal(&client, document).await.is_none() {
            taken.insert(name);
        }
    }
    // Fields that are unknown are dropped without a word unless the client asks for strictness, as kubectl does.
    let unknown = |name: &String| name.ends_with("-unknown");
    let judged: BTreeSet<String> = JUDGED_BY_THE_RING.iter().map(|name| (*name).to_owned()).collect();
    let surprises: Vec<_> = taken.iter().filter(|name| !judged.contains(*name) && !unknown(name)).collect();
    ensure!(surprises.is_empty(), "the server takes {surprises:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_judges_the_cases_of_every_rule_as_their_interpreter_does() -> anyhow::Result<()> {
    let Some((assets, folder)) = workplace()? else { return Ok(()) };
    let plane = ControlPlane::start(&assets, folder.path()).await?;
    let client = plane.client();
    let mut wrong = Vec::new();
    for Case { kind, old, new, says } in cases::bad() {
        let answer = answer(&client, old, new.clone()).await?.context("the object before is not taken")?;
        if !answer.contains(says) {
            wrong.push(format!("{kind:?} must be told of `{says}`, not `{answer}`: {new}"));
        }
    }
    let mut spoilt = 0;
    for (kind, old, new) in cases::good() {
        match answer(&client, old, new.clone()).await? {
            Some(answer) if answer.is_empty() => {}
            Some(answer) => wrong.push(format!("{kind:?} must be taken, not `{answer}`: {new}")),
            None => spoilt += 1,
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(spoilt == 1, "{spoilt} cases begin with what no server stores; only one is about that");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_holds_a_ring_to_what_it_can_follow_also_through_its_scale() -> anyhow::Result<()> {
    let Some((assets, folder)) = workplace()? else { return Ok(()) };
    let plane = ControlPlane::start(&assets, folder.path()).await?;
    let rings: Api<scrapering_crds::ScrapeRing> = Api::namespaced(plane.client(), "default");
    let spec = json!({ "replicas": 5, "storage": { "storageClassName": "fast" } });
    let ring = serde_json::from_value(json!({
        "apiVersion": scrapering_crds::API_VERSION, "kind": "ScrapeRing", "metadata": { "name": "main" }, "spec": spec,
    }))?;
    rings.create(&PostParams::default(), &ring).await?;
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        rings
            .patch_scale("main", &PatchParams::default(), &patch)
            .await
            .map(|scale| scale.spec.and_then(|it| it.replicas))
    };
    ensure!(scale(3).await? == Some(3), "a ring of three is a ring");
    ensure!(scale(2).await.is_err_and(|error| error.to_string().contains("below three")), "two through the scale");
    for (change, says) in [
        (json!({ "replicas": 1 }), "below three"),
        (json!({ "storage": { "size": "1Gi" } }), "cannot shrink"),
        (json!({ "storage": { "storageClassName": "slow" } }), "cannot be changed"),
        (json!({ "storage": { "storageClassName": null } }), "cannot be changed"),
    ] {
        let answer =
            rings.patch("main", &PatchParams::default(), &Patch::Merge(json!({ "spec": change.clone() }))).await;
        ensure!(answer.is_err_and(|error| error.to_string().contains(says)), "{change} is taken");
    }
    let growing = json!({ "spec": { "replicas": 6, "storage": { "size": "20Gi" }, "paused": true } });
    rings.patch("main", &PatchParams::default(), &Patch::Merge(growing)).await?;
    Ok(())
}
