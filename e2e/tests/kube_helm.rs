//! The chart on a real API server: installed, tested, upgraded, uninstalled and installed again by helm itself, while the operator of its
//! own Deployment, with the token of its own service account, looks after a ring and a job.
//!
//! The control plane's programs are found in `KUBEBUILDER_ASSETS`; where it is unset, or where there is no helm, this test does
//! nothing, and says so.

#![allow(clippy::print_stderr, reason = "a test says what it saw")]

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, NamespaceResourceScope, TypeMeta};
use kube::discovery::{ApiResource, Scope, pinned_kind};
use kube::{Api, Client, Resource, ResourceExt};
use scrapering_crds::{ConditionStatus, ScrapeJob, ScrapeRing, ScrapeRingStatus};
use scrapering_e2e::door::until;
use scrapering_e2e::kube::pod_process::is_ready;
use scrapering_e2e::kube::stage::LIMIT;
use scrapering_e2e::kube::{ControlPlane, Helm, Kubelet, workplace};
use scrapering_e2e::program::{Process, built};
use scrapering_e2e::shop;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const PRODUCTS: u32 = 20;
/// Where the operator is.
const OWN: &str = "scrapering";
/// Where the ring is.
const THEIRS: &str = "crawl";

/// Values that also make a ring, which may reach the shop.
const WITH_RING: &str = "
ring:
  create: true
  namespace: crawl
  spec:
    replicas: 1
    update: {minStableSeconds: 0}
    scraping: {allowedPrivateCidrs: [127.0.0.0/8]}
";

/// The same, with an operator that looks after one namespace and is looked at by Prometheus.
const NAMESPACED: &str = "
watchNamespaces: [crawl]
replicas: 1
log: {format: text}
metrics:
  serviceMonitor: {enabled: true, labels: {release: prometheus}}
  prometheusRule: {enabled: true}
  dashboard: {enabled: true}
";

/// What helm installs, and where the parts of a test are.
struct Release {
    client: Client,
    helm: Helm,
    chart: String,
    kubelet: Kubelet,
    folder: PathBuf,
    kubeconfig: String,
}

impl Release {
    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// `helm install` or `helm upgrade` of the chart, as the documentation has it.
    async fn set(&self, verb: &str, more: &[&str]) -> anyhow::Result<String> {
        let common = [verb, "scrapering", &self.chart, "--namespace", OWN, "--wait", "--timeout", "6m"];
        let done = self.helm.done(&[&common[..], more].concat()).await;
        match done {
            Ok(said) => Ok(said),
            Err(error) => Err(error.context(self.kubelet.tails().await)),
        }
    }

    /// Every object of the release is what the server takes from the strictest client.
    async fn is_strictly_right(&self) -> anyhow::Result<usize> {
        let manifest = self.helm.done(&["get", "manifest", "scrapering", "--namespace", OWN]).await?;
        let hooks = self.helm.done(&["get", "hooks", "scrapering", "--namespace", OWN]).await?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&format!("{manifest}\n---\n{hooks}"))?;
        let documents: Vec<Value> = documents.into_iter().filter(Value::is_object).collect();
        for document in &documents {
            let types: TypeMeta = serde_json::from_value(document.clone())?;
            let (group, version) = types.api_version.rsplit_once('/').unwrap_or(("", &types.api_version));
            let kind = GroupVersionKind::gvk(group, version, &types.kind);
            let (resource, capabilities) = pinned_kind(&self.client, &kind).await?;
            let object: DynamicObject = serde_json::from_value(document.clone())?;
            let objects =
                self.objects(&resource, (capabilities.scope == Scope::Namespaced).then(|| object.namespace()));
            let strict = PatchParams::apply("strict").force().dry_run().validation_strict();
            objects
                .patch(&object.name_any(), &strict, &Patch::Apply(&object))
                .await
                .with_context(|| format!("{} {}", types.kind, object.name_any()))?;
        }
        Ok(documents.len())
    }

    fn objects(&self, resource: &ApiResource, namespace: Option<Option<String>>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace.as_deref().unwrap_or(OWN), resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// What the operator's program writes when it is run beside the one that serves.
    async fn operator_says(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let kubeconfig = ("KUBECONFIG".to_owned(), self.kubeconfig.clone());
        let program = built("scrapering-operator")?;
        let mut process = Process::start_program_with(&program, &self.folder, "asked", arguments, &[kubeconfig])?;
        let ended = process.ended(LIMIT).await?;
        ensure!(ended.code() == Some(0), "{arguments:?}: {ended:?}");
        Ok(ended.out)
    }

    /// Names of the operator's pods that serve.
    async fn operators(&self) -> anyhow::Result<Vec<String>> {
        let pods = self.api::<Pod>(OWN).list(&Default::default()).await?;
        let own = |pod: &&Pod| pod.labels().get("app.kubernetes.io/component").is_some_and(|it| it == "operator");
        Ok(pods.iter().filter(own).filter(|pod| is_ready(pod)).map(ResourceExt::name_any).collect())
    }

    /// Waits until the operator has seen the newest version of the ring, and the ring is ready.
    async fn ring_is_ready(&self, what: &str) -> anyhow::Result<ScrapeRingStatus> {
        let rings: Api<ScrapeRing> = self.api(THEIRS);
        let waited = until(what, LIMIT, async || {
            let ring = rings.get("main").await?;
            let status = ring.status.unwrap_or_default();
            let ready = |status: &ScrapeRingStatus| {
                status.conditions.iter().any(|it| it.type_ == "Ready" && it.status == ConditionStatus::True)
            };
            Ok((status.observed_generation == ring.metadata.generation && ready(&status)).then_some(status))
        });
        match waited.await {
            Ok(status) => Ok(status),
            Err(error) => Err(error.context(self.kubelet.tails().await)),
        }
    }

    /// Changes the ring, so that there is something to be seen.
    async fn change_ring(&self, timeout: &str) -> anyhow::Result<()> {
        let change = Patch::Merge(json!({ "spec": { "scaleIn": { "timeout": timeout } } }));
        self.api::<ScrapeRing>(THEIRS).patch("main", &PatchParams::default(), &change).await?;
        Ok(())
    }

    /// The definitions that the Prometheus Operator would have brought, as far as the chart uses them.
    async fn define_monitoring(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for (kind, plural) in [("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")] {
            let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
            let definition = json!({
                "metadata": { "name": format!("{plural}.monitoring.coreos.com") },
                "spec": {
                    "group": "monitoring.coreos.com", "scope": "Namespaced",
                    "names": { "kind": kind, "plural": plural },
                    "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": any } }],
                },
            });
            definitions.create(&PostParams::default(), &serde_json::from_value(definition)?).await?;
        }
        Ok(())
    }
}

async fn set_up(assets: &Path, folder: &Path) -> anyhow::Result<Option<(Release, ControlPlane)>> {
    let plane = ControlPlane::bare(assets, folder).await?;
    let Some(helm) = Helm::if_any(&plane, folder)? else { return Ok(None) };
    let kubelet = Kubelet::start(&plane, folder)?;
    let chart = std::fs::canonicalize("../helm")?.display().to_string();
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(plane.client());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": THEIRS } }))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    for (name, text) in [("ring.yaml", WITH_RING.to_owned()), ("namespaced.yaml", format!("{WITH_RING}{NAMESPACED}"))] {
        std::fs::write(folder.join(name), text)?;
    }
    let kubeconfig = std::path::absolute(plane.folder().join("admin.kubeconfig"))?.display().to_string();
    let folder = folder.to_owned();
    Ok(Some((Release { client: plane.client(), helm, chart, kubelet, folder, kubeconfig }, plane)))
}

/// The defaults: two operators, one of which leads, and a test that asks them.
async fn installed(release: &Release) -> anyhow::Result<()> {
    let notes = release.set("install", &["--create-namespace"]).await?;
    ensure!(notes.contains("kind: ScrapeRing") && notes.contains("helm -n scrapering test scrapering"), "{notes}");
    let count = release.is_strictly_right().await?;
    ensure!(count >= 12, "the release has only {count} objects");
    let operators = release.operators().await?;
    ensure!(operators.len() == 2, "{operators:?} serve");
    let leases: Api<Lease> = release.api(OWN);
    until("an operator that leads", LIMIT, async || {
        let holder = leases.get_opt("scrapering").await?.and_then(|lease| lease.spec?.holder_identity);
        Ok(holder.filter(|holder| operators.contains(holder)))
    })
    .await?;
    let tested = release.helm.done(&["test", "scrapering", "--namespace", OWN, "--timeout", "3m"]).await?;
    ensure!(tested.contains("Succeeded"), "{tested}");
    Ok(())
}

/// A ring of the chart, and a job on it.
async fn used(release: &Release) -> anyhow::Result<()> {
    release.set("upgrade", &["--values", "ring.yaml"]).await?;
    release.ring_is_ready("a ring that the chart made").await?;
    let shop = shop::start(shop::Config { products: PRODUCTS, ..shop::Config::default() }).await?;
    let mut job: Value = serde_saphyr::from_str(&std::fs::read_to_string("../examples/shop.yaml")?)?;
    job["spec"]["seeds"] = json!([{ "url": shop.url() }]);
    let jobs: Api<ScrapeJob> = release.api(THEIRS);
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
    until("a job that is complete", LIMIT, async || {
        let status = jobs.get("shop").await?.status.unwrap_or_default();
        let is_complete = status.conditions.iter().any(|it| it.type_ == "Complete");
        Ok((is_complete && status.items == i64::from(PRODUCTS)).then_some(()))
    })
    .await?;
    read(release).await
}

/// What the documentation says about reading results: a token from the operator's program, the authority from the ring's ConfigMap.
async fn read(release: &Release) -> anyhow::Result<()> {
    let id = release.api::<ScrapeJob>(THEIRS).get("shop").await?.status.and_then(|status| status.job_id);
    let asked = ["token", "main", "--namespace", THEIRS, "--scope", "jobs:read", "--scope", "results:read"];
    let token = release.operator_says(&asked).await?;
    let settings = release.api::<ConfigMap>(THEIRS).get("main").await?.data.unwrap_or_default();
    let authority = settings.get("ca.crt").context("an authority to trust")?;
    let address = release.kubelet.address(THEIRS, "main", 0)?;
    let http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes())?])
        .no_proxy()
        .resolve("localhost", (address, 0).into())
        .build()?;
    let url = format!("https://localhost:8443/v1/jobs/{}/items", id.context("the job's id in the ring")?);
    let answer = http.get(url).bearer_auth(token.trim()).send().await?.error_for_status()?;
    let items = answer.text().await?.lines().count();
    ensure!(items == PRODUCTS as usize, "{items} items of {PRODUCTS} products can be read");
    Ok(())
}

/// Other values: Roles instead of a ClusterRole, one operator instead of two, and what Prometheus reads.
async fn upgraded(release: &Release) -> anyhow::Result<()> {
    release.define_monitoring().await?;
    let before = release.operators().await?;
    release.set("upgrade", &["--values", "namespaced.yaml"]).await?;
    release.is_strictly_right().await?;
    let everywhere: Api<ClusterRole> = Api::all(release.client.clone());
    ensure!(everywhere.get_opt("scrapering").await?.is_none(), "the rights for all namespaces are still there");
    ensure!(release.api::<Role>(THEIRS).get_opt("scrapering").await?.is_some(), "there are no rights for {THEIRS}");
    let after = release.operators().await?;
    ensure!(after.len() == 1 && !before.contains(&after[0]), "{before:?} became {after:?}");
    release.change_ring("2h").await?;
    release.ring_is_ready("a ring that the new operator has seen").await?;
    release.helm.done(&["test", "scrapering", "--namespace", OWN, "--timeout", "3m"]).await?;
    Ok(())
}

/// The operator goes. The ring, its job and the definitions stay, and the ring serves.
async fn uninstalled(release: &Release) -> anyhow::Result<()> {
    let said = release.helm.done(&["uninstall", "scrapering", "--namespace", OWN, "--wait", "--timeout", "3m"]).await?;
    ensure!(said.contains("[CustomResourceDefinition] scraperings.scrapering.io"), "nobody is told what stays: {said}");
    ensure!(release.api::<Deployment>(OWN).get_opt("scrapering").await?.is_none(), "the operator is still there");
    let definitions: Api<CustomResourceDefinition> = Api::all(release.client.clone());
    for kind in ["scraperings", "scrapejobs", "scrapeschedules"] {
        ensure!(definitions.get_opt(&format!("{kind}.scrapering.io")).await?.is_some(), "{kind} went with the chart");
    }
    ensure!(is_ready(&release.api::<Pod>(THEIRS).get("main-0").await?), "the ring stopped serving");
    ensure!(release.api::<ScrapeJob>(THEIRS).get_opt("shop").await?.is_some(), "the job went with the chart");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_tests_upgrades_uninstalls_and_installs_again_what_looks_after_a_ring() -> anyhow::Result<()> {
    let Some((assets, folder)) = workplace()? else { return Ok(()) };
    let Some((release, _plane)) = set_up(&assets, folder.path()).await? else { return Ok(()) };
    installed(&release).await.context("helm install")?;
    used(&release).await.context("a ring and a job")?;
    upgraded(&release).await.context("helm upgrade")?;
    uninstalled(&release).await.context("helm uninstall")?;

    // Installed again, the same release finds what it left: the definitions are its own, and the ring is looked after.
    release.set("install", &[]).await.context("helm install, once more")?;
    release.change_ring("3h").await?;
    release.ring_is_ready("a ring that is looked after again").await?;
    let (rings, jobs): (Api<ScrapeRing>, Api<ScrapeJob>) = (release.api(THEIRS), release.api(THEIRS));
    jobs.delete("shop", &DeleteParams::default()).await?;
    until("a deleted job", LIMIT, async || Ok(jobs.get_opt("shop").await?.is_none().then_some(()))).await?;
    rings.delete("main", &DeleteParams::default()).await?;
    until("a deleted ring", LIMIT, async || Ok(rings.get_opt("main").await?.is_none().then_some(()))).await?;
    Ok(())
}
