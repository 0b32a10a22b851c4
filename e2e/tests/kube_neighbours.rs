//! What other controllers do for a ring, on a real API server: a certificate of cert-manager's, a route of the Gateway API, an
//! Ingress, and a ServiceMonitor. They are missing at first, then they are played.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset these tests do nothing, and `make test` says so.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use reqwest::tls::TlsInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use scrapering_crds::{ConditionStatus, ScrapeRingStatus};
use scrapering_e2e::door::until;
use scrapering_e2e::kube::Stage;
use scrapering_e2e::kube::stage::{LIMIT, NAMESPACE, RING};
use serde_json::{Value, json};
use std::time::Duration;

/// What is watched is healed long before a ring is looked at that nothing happens to: that is every five minutes.
const SOON: Duration = Duration::from_secs(200);

/// Group, kind, plural and the fields of a spec as far as a ring uses them: a server drops every other one.
fn definitions() -> [(&'static str, &'static str, &'static str, Value); 4] {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": text() });
    let object = |fields: Value| json!({ "type": "object", "properties": fields });
    let list = |fields: Value| json!({ "type": "array", "items": object(fields) });
    let of = |values: &[&str]| json!({ "type": "string", "enum": values });
    let certificate = json!({
        "secretName": text(), "duration": text(), "renewBefore": text(), "dnsNames": texts(),
        "usages": { "type": "array", "items": of(&["digital signature", "key encipherment", "server auth", "client auth"]) },
        "issuerRef": object(json!({ "name": text(), "kind": text(), "group": text() })),
        "privateKey": object(json!({
            "algorithm": of(&["RSA", "ECDSA", "Ed25519"]), "size": { "type": "integer" },
            "encoding": of(&["PKCS1", "PKCS8"]), "rotationPolicy": of(&["Never", "Always"]),
        })),
    });
    let reference = json!({ "group": text(), "kind": text(), "name": text() });
    let route = json!({
        "parentRefs": list(json!({ "name": text(), "namespace": text(), "sectionName": text() })), "hostnames": texts(),
        "rules": list(json!({ "backendRefs": list(json!({ "name": text(), "port": { "type": "integer" } })) })),
    });
    let trust = json!({
        "targetRefs": list(reference.clone()),
        "validation": object(json!({ "caCertificateRefs": list(reference), "hostname": text() })),
    });
    let key = object(json!({ "name": text(), "key": text() }));
    let labels = json!({ "type": "object", "additionalProperties": text() });
    let monitor = json!({
        "selector": object(json!({ "matchLabels": labels })),
        "endpoints": list(json!({
            "port": text(), "path": text(), "interval": text(), "scheme": of(&["http", "https"]),
            "tlsConfig": object(json!({ "serverName": text(), "ca": object(json!({ "configMap": key })) })),
            "authorization": object(json!({ "type": text(), "credentials": key })),
        })),
    });
    let gateways = "gateway.networking.k8s.io";
    [
        ("cert-manager.io", "Certificate", "certificates", certificate),
        (gateways, "HTTPRoute", "httproutes", route),
        (gateways, "BackendTLSPolicy", "backendtlspolicies", trust),
        ("monitoring.coreos.com", "ServiceMonitor", "servicemonitors", monitor),
    ]
}

async fn define(stage: &Stage) -> anyhow::Result<()> {
    let all: Api<CustomResourceDefinition> = Api::all(stage.client());
    for (group, kind, plural, spec) in definitions() {
        let spec = json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": spec } } });
        let mut definition = json!({
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group, "scope": "Namespaced", "names": { "kind": kind, "plural": plural },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": spec } }],
            },
        });
        if group.ends_with("k8s.io") {
            let approved = json!({ "api-approved.kubernetes.io": "unapproved, for a test" });
            definition["metadata"]["annotations"] = approved;
        }
        all.create(&PostParams::default(), &serde_json::from_value(definition)?).await?;
    }
    Ok(())
}

fn objects(stage: &Stage, kind: &str) -> anyhow::Result<Api<DynamicObject>> {
    let (group, kind, plural, _) = definitions().into_iter().find(|it| it.1 == kind).context("a definition")?;
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
    Ok(Api::namespaced_with(stage.client(), NAMESPACE, &resource))
}

/// The spec of the object called like the ring, once the operator has made it.
async fn spec(stage: &Stage, kind: &str) -> anyhow::Result<Value> {
    let objects = objects(stage, kind)?;
    let found = until(kind, LIMIT, async || Ok(objects.get_opt(RING).await.ok().flatten())).await;
    Ok(found.with_context(|| stage.operator.tail())?.data["spec"].clone())
}

/// An authority that signs as an issuer of the type `ca` does.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn make() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an issuer of the cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self { pem: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    /// Does what cert-manager does with a Certificate: a Secret with what it asks for. The certificate that is in it.
    async fn issue(&self, stage: &Stage, asked: &Value) -> anyhow::Result<CertificateDer<'static>> {
        let names: Vec<String> = serde_json::from_value(asked["dnsNames"].clone())?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let name = asked["secretName"].as_str().context("the name of a Secret")?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": { "name": name },
            "stringData": { "ca.crt": self.pem, "tls.crt": certificate.pem(), "tls.key": key.serialize_pem() },
        });
        let secrets: Api<Secret> = stage.api();
        secrets.patch(name, &PatchParams::apply("cert-manager").force(), &Patch::Apply(&secret)).await?;
        Ok(certificate.der().clone())
    }
}

/// `False/OptionalApiMissing` of a condition.
fn condition(status: &ScrapeRingStatus, type_: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_);
    found.map_or_else(String::new, |it| format!("{}/{}", it.status == ConditionStatus::True, it.reason))
}

/// What a Prometheus would do with the ServiceMonitor: it trusts, names itself and asks as that says.
async fn scraped(stage: &Stage, monitor: &Value, shown: &CertificateDer<'_>) -> anyhow::Result<()> {
    let endpoint = &monitor["endpoints"][0];
    let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("no text in {endpoint}"));
    let (trust, credentials) = (&endpoint["tlsConfig"]["ca"]["configMap"], &endpoint["authorization"]["credentials"]);
    let settings = stage.api::<ConfigMap>().get(&text(&trust["name"])?).await?.data.unwrap_or_default();
    let authorities = settings.get(&text(&trust["key"])?).context("the authorities")?;
    let secret = stage.api::<Secret>().get(&text(&credentials["name"])?).await?.data.unwrap_or_default();
    let token = String::from_utf8(secret.get(&text(&credentials["key"])?).context("a token")?.0.clone())?;
    let host = text(&endpoint["tlsConfig"]["serverName"])?;
    let address = stage.kubelet.address(NAMESPACE, RING, 0)?;
    let http = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(authorities.as_bytes())?)
        .tls_info(true)
        .no_proxy()
        .resolve(&host, (address, 0).into())
        .build()?;
    let url = format!("https://{host}:8443{}", text(&endpoint["path"])?);
    let answer = http.get(&url).bearer_auth(&token).send().await?;
    let own = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec);
    ensure!(own.as_deref() == Some(shown.as_ref()), "the node shows another certificate than the one that was issued");
    ensure!(answer.status().is_success(), "{url} answers {}", answer.status());
    ensure!(answer.text().await?.contains("scrapering_ring_nodes"), "these are not the metrics of a node");
    let refused = http.get(format!("https://{host}:8443/v1/kv?prefix=a")).bearer_auth(&token).send().await?.status();
    ensure!(refused.as_u16() == 403, "a token for metrics opens more than metrics: {refused}");
    Ok(())
}

/// Deletes every object that the ring has for other controllers, twice: the first time the ring might have been looked at anyway,
/// the second time that would be minutes away.
async fn healed(stage: &Stage) -> anyhow::Result<()> {
    for _ in 0..2 {
        let mut gone = Vec::new();
        for (_, kind, _, _) in definitions() {
            let api = objects(stage, kind)?;
            gone.push((kind, api.get(RING).await?.uid()));
            api.delete(RING, &DeleteParams::default()).await?;
        }
        until("objects in the place of those that somebody deleted", SOON, async || {
            for (kind, uid) in &gone {
                if objects(stage, kind)?.get_opt(RING).await?.is_none_or(|now| now.uid() == *uid) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_routes_and_monitors_wait_for_their_apis_and_then_do_what_they_are_for() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    let tls = json!({ "source": "CertManager", "issuerRef": { "name": "internal" } });
    let gateway = json!({ "ingress": { "host": "ring.example" }, "httpRoute": { "parentRefs": [{ "name": "edge" }] } });
    stage
        .make_ring(json!({
            "replicas": 1, "update": { "minStableSeconds": 0 }, "security": { "tls": tls }, "gateway": gateway,
            "telemetry": { "serviceMonitor": {} },
        }))
        .await?;
    let missing = |status: &ScrapeRingStatus| {
        condition(status, "OptionalApis") == "false/OptionalApiMissing"
            && condition(status, "CertificatesReady") == "false/WaitingForIssuer"
    };
    let status = stage.status_when("a ring that names what is missing", missing).await?;
    let said = status.conditions.iter().find(|it| it.type_ == "OptionalApis").map(|it| it.message.clone());
    for kind in ["Certificate", "HTTPRoute", "BackendTLSPolicy", "ServiceMonitor"] {
        ensure!(said.as_ref().is_some_and(|said| said.contains(kind)), "{kind} is not named: {said:?}");
    }
    let ingress = stage.api::<Ingress>().get(RING).await?.spec.unwrap_or_default();
    ensure!(ingress.rules.iter().flatten().any(|rule| rule.host.as_deref() == Some("ring.example")), "{ingress:?}");

    define(&stage).await?;
    let asked = spec(&stage, "Certificate").await?;
    ensure!(asked["duration"] == "7776000s" && asked["privateKey"]["rotationPolicy"] == "Always", "{asked}");
    let authority = Authority::make()?;
    authority.issue(&stage, &asked).await?;
    stage.settled(1).await?;
    let whole = |status: &ScrapeRingStatus| {
        condition(status, "OptionalApis") == "true/NothingMissing"
            && condition(status, "CertificatesReady") == "true/Issued"
    };
    stage.status_when("a ring that lacks nothing", whole).await?;
    let route = spec(&stage, "HTTPRoute").await?;
    ensure!(route["rules"][0]["backendRefs"][0] == json!({ "name": "main-gateway", "port": 8443 }), "{route}");
    let trust = spec(&stage, "BackendTLSPolicy").await?;
    ensure!(trust["validation"]["hostname"] == "main-gateway.default.svc", "{trust}");

    healed(&stage).await?;
    // Issued anew: the node shows it without a restart.
    let renewed = authority.issue(&stage, &asked).await?;
    stage.edit_ring(json!({ "scaleIn": { "timeout": "2h" } })).await?;
    let monitor = spec(&stage, "ServiceMonitor").await?;
    until("a node that shows the newest certificate", LIMIT, async || {
        let secret = stage.api::<Secret>().get("main-tls").await?.data.unwrap_or_default();
        let handed = CertificateDer::from_pem_slice(&secret["tls.crt"].0)?;
        Ok((handed == renewed && scraped(&stage, &monitor, &renewed).await.is_ok()).then_some(()))
    })
    .await?;
    scraped(&stage, &monitor, &renewed).await?;
    ensure!(stage.restarts().await?.iter().all(|count| *count == 0), "the node was restarted");

    stage.edit_ring(json!({ "gateway": null, "telemetry": null })).await?;
    stage.settled(1).await?;
    for kind in ["HTTPRoute", "BackendTLSPolicy", "ServiceMonitor"] {
        ensure!(objects(&stage, kind)?.get_opt(RING).await?.is_none(), "the {kind} is still there");
    }
    ensure!(stage.api::<Ingress>().get_opt(RING).await?.is_none(), "the Ingress is still there");
    let certificate = objects(&stage, "Certificate")?.get(RING).await?;
    ensure!(certificate.labels().contains_key("app.kubernetes.io/managed-by"), "{:?}", certificate.metadata);
    Ok(())
}
