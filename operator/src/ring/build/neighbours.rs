//! What a ring asks of other controllers of the cluster: certificates, ways to its gateway from outside, and who reads its metrics.
//!
//! None of these APIs has to be there. Each object is described as JSON, so that the operator needs no types of theirs; what stands
//! in it are fields that have been stable for years.

use kube::api::{ApiResource, DynamicObject, TypeMeta};
use kube::core::{GroupVersionKind, ObjectMeta};
use scrapering_crds::ring::{CertificateSource, HttpRouteSpec, IngressSpec, IssuerRef, ServiceMonitorSpec};
use serde_json::{Value, json};

use super::{metadata, selector};
use crate::ring::validate::ValidatedRing;
use crate::ring::{certificates, contract};

/// A kind of object that a cluster may not know.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OptionalApi {
    /// Its group.
    pub group: &'static str,
    /// The version that is used.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The kind in paths.
    pub plural: &'static str,
    /// The field of a ring that asks for it.
    pub field: &'static str,
}

impl OptionalApi {
    /// As a client takes it.
    pub fn resource(&self) -> ApiResource {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(self.group, self.version, self.kind), self.plural)
    }
}

/// A certificate of cert-manager.
pub static CERTIFICATE: OptionalApi = OptionalApi {
    group: "cert-manager.io",
    version: "v1",
    kind: "Certificate",
    plural: "certificates",
    field: "spec.security.tls.source",
};
static INGRESS: OptionalApi = OptionalApi {
    group: "networking.k8s.io",
    version: "v1",
    kind: "Ingress",
    plural: "ingresses",
    field: "spec.gateway.ingress",
};
static ROUTE: OptionalApi = OptionalApi {
    group: "gateway.networking.k8s.io",
    version: "v1",
    kind: "HTTPRoute",
    plural: "httproutes",
    field: "spec.gateway.httpRoute",
};
static TRUST: OptionalApi = OptionalApi {
    group: "gateway.networking.k8s.io",
    version: "v1",
    kind: "BackendTLSPolicy",
    plural: "backendtlspolicies",
    field: "spec.gateway.httpRoute",
};
static MONITOR: OptionalApi = OptionalApi {
    group: "monitoring.coreos.com",
    version: "v1",
    kind: "ServiceMonitor",
    plural: "servicemonitors",
    field: "spec.telemetry.serviceMonitor",
};

/// An object called like the ring, of an API that may not be there.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Its API.
    pub api: &'static OptionalApi,
    /// The object; `None` when the ring does not want one (any more).
    pub object: Option<DynamicObject>,
}

/// One entry for each API, wanted or not.
pub(super) fn of(ring: &ValidatedRing) -> Vec<Neighbour> {
    let (tls, gateway) = (&ring.spec.security.tls, &ring.spec.gateway);
    let issuer = tls.issuer_ref.as_ref().filter(|_| tls.source == CertificateSource::CertManager);
    let route = gateway.http_route.as_ref();
    let monitor = ring.spec.telemetry.service_monitor.as_ref();
    vec![
        neighbour(ring, &CERTIFICATE, issuer.map(|issuer| certificate(ring, issuer))),
        annotated(neighbour(ring, &INGRESS, gateway.ingress.as_ref().map(|asked| ingress(ring, asked))), ring),
        neighbour(ring, &ROUTE, route.map(|asked| http_route(ring, asked))),
        neighbour(ring, &TRUST, route.map(|_| backend_trust(ring))),
        labelled(neighbour(ring, &MONITOR, monitor.map(|asked| service_monitor(ring, asked))), monitor),
    ]
}

fn neighbour(ring: &ValidatedRing, api: &'static OptionalApi, spec: Option<Value>) -> Neighbour {
    let object = spec.map(|spec| DynamicObject {
        types: Some(TypeMeta { api_version: format!("{}/{}", api.group, api.version), kind: api.kind.to_owned() }),
        metadata: metadata(ring, ring.name.clone()),
        data: json!({ "spec": spec }),
    });
    Neighbour { api, object }
}

fn annotated(mut neighbour: Neighbour, ring: &ValidatedRing) -> Neighbour {
    let asked = ring.spec.gateway.ingress.as_ref().map(|ingress| ingress.annotations.clone()).unwrap_or_default();
    if let Some(ObjectMeta { annotations, .. }) = neighbour.object.as_mut().map(|object| &mut object.metadata) {
        *annotations = (!asked.is_empty()).then_some(asked);
    }
    neighbour
}

/// The operator's own labels win.
fn labelled(mut neighbour: Neighbour, asked: Option<&ServiceMonitorSpec>) -> Neighbour {
    if let (Some(object), Some(asked)) = (neighbour.object.as_mut(), asked) {
        let mut labels = asked.labels.clone();
        labels.extend(object.metadata.labels.take().unwrap_or_default());
        object.metadata.labels = Some(labels);
    }
    neighbour
}

/// cert-manager renews when a third of the life is left, as the operator itself does.
fn certificate(ring: &ValidatedRing, issuer: &IssuerRef) -> Value {
    let life_s = ring.spec.security.tls.leaf_duration.0.as_secs();
    json!({
        "secretName": contract::issued_name(&ring.name),
        "duration": format!("{life_s}s"),
        "renewBefore": format!("{}s", life_s / 3),
        "privateKey": { "algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Always" },
        "usages": ["digital signature", "server auth", "client auth"],
        "dnsNames": ring.names,
        "issuerRef": { "name": issuer.name, "kind": issuer.kind.as_str(), "group": CERTIFICATE.group },
    })
}

fn ingress(ring: &ValidatedRing, asked: &IngressSpec) -> Value {
    let backend = json!({ "service": { "name": contract::gateway_name(&ring.name), "port": { "name": "gateway" } } });
    let mut tls = json!({ "hosts": [asked.host] });
    let mut spec = json!({
        "rules": [{
            "host": asked.host,
            "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] },
        }],
    });
    if let Some(secret) = &asked.tls_secret_name {
        tls["secretName"] = json!(secret);
    }
    spec["tls"] = json!([tls]);
    if let Some(class) = &asked.class_name {
        spec["ingressClassName"] = json!(class);
    }
    spec
}

fn http_route(ring: &ValidatedRing, asked: &HttpRouteSpec) -> Value {
    let backend = json!({ "name": contract::gateway_name(&ring.name), "port": contract::GATEWAY_PORT });
    let mut spec = json!({ "parentRefs": asked.parent_refs, "rules": [{ "backendRefs": [backend] }] });
    if !asked.hostnames.is_empty() {
        spec["hostnames"] = json!(asked.hostnames);
    }
    spec
}

/// Without it a Gateway would speak plain HTTP to a port that speaks TLS only.
fn backend_trust(ring: &ValidatedRing) -> Value {
    json!({
        "targetRefs": [{ "group": "", "kind": "Service", "name": contract::gateway_name(&ring.name) }],
        "validation": {
            "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": ring.name }],
            "hostname": contract::gateway_host(&ring.name, &ring.namespace),
        },
    })
}

fn service_monitor(ring: &ValidatedRing, asked: &ServiceMonitorSpec) -> Value {
    json!({
        "selector": { "matchLabels": selector(&ring.name) },
        "endpoints": [{
            "port": "gateway",
            "scheme": "https",
            "path": "/metrics",
            "interval": asked.interval,
            "tlsConfig": {
                "ca": { "configMap": { "name": ring.name, "key": certificates::CA } },
                "serverName": contract::gateway_host(&ring.name, &ring.namespace),
            },
            "authorization": {
                "type": "Bearer",
                "credentials": { "name": contract::metrics_name(&ring.name), "key": contract::METRICS_TOKEN },
            },
        }],
    })
}
