//! A whole stage for a test: control plane, played kubelet, operator, and the ring that is looked at.

use super::writer::Gateways;
use super::{ControlPlane, Kubelet, Operator, rights, workplace};
use crate::door::until;
use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use scrapering_crds::{ScrapeRing, ScrapeRingStatus};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// How long an operation on a ring may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(400);
/// The namespace of every ring here.
pub const NAMESPACE: &str = "default";
/// How the operator and its lease are called.
pub const OPERATOR: &str = "scrapering-operator";
/// The ring that is looked at.
pub const RING: &str = "main";

/// Everything that a ring needs. Dropped, all of it ends.
pub struct Stage {
    /// The operator.
    pub operator: Operator,
    /// The played kubelet.
    pub kubelet: Kubelet,
    /// The control plane.
    pub plane: ControlPlane,
}

impl Stage {
    /// One with the project's own chart, and the folder that it lives in; `None`, said aloud, where there is no control plane.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn if_any() -> anyhow::Result<Option<(Self, TempDir)>> {
        let Some((assets, folder)) = workplace()? else { return Ok(None) };
        let stage = Self::set(&assets, folder.path(), Path::new("../helm")).await?;
        Ok(Some((stage, folder)))
    }

    /// Sets it up below `folder` and starts the operator, with the rights that the chart in the folder `chart` grants.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn set(assets: &Path, folder: &Path, chart: &Path) -> anyhow::Result<Self> {
        let plane = ControlPlane::start(assets, folder).await?;
        let token = rights::grant(&plane.client(), NAMESPACE, chart).await?;
        let kubelet = Kubelet::start(&plane, folder)?;
        let mut operator = Operator::of(&plane, folder, OPERATOR, token).await?;
        operator.start()?;
        Ok(Self { operator, kubelet, plane })
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.plane.client()
    }

    /// Objects of a kind in the ring's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(), NAMESPACE)
    }

    /// Makes the ring, with this spec.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn make_ring(&self, spec: Value) -> anyhow::Result<()> {
        let ring = json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeRing",
            "metadata": { "name": RING, "namespace": NAMESPACE }, "spec": spec,
        });
        self.api::<ScrapeRing>().create(&PostParams::default(), &serde_json::from_value(ring)?).await?;
        Ok(())
    }

    /// Changes the ring's spec.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn edit_ring(&self, spec: Value) -> anyhow::Result<()> {
        let change = Patch::Merge(json!({ "spec": spec }));
        self.api::<ScrapeRing>().patch(RING, &PatchParams::default(), &change).await?;
        Ok(())
    }

    /// The ring's status once `is_so` holds for it.
    ///
    /// # Errors
    /// It does not come to hold in time.
    pub async fn status_when(
        &self,
        what: &str,
        is_so: impl Fn(&ScrapeRingStatus) -> bool,
    ) -> anyhow::Result<ScrapeRingStatus> {
        let rings: Api<ScrapeRing> = self.api();
        let waited = until(what, LIMIT, async || {
            let ring = rings.get(RING).await?;
            let generation = ring.metadata.generation;
            let status = ring.status.unwrap_or_default();
            Ok((status.observed_generation == generation && is_so(&status)).then_some(status))
        });
        match waited.await {
            Ok(status) => Ok(status),
            Err(error) => {
                let status = serde_json::to_string_pretty(&rings.get(RING).await?.status)?;
                bail!("{error:#}\n{status}\n{}\n{}", self.operator.tail(), self.kubelet.tails().await)
            }
        }
    }

    /// Waits until the ring has `nodes` nodes and nothing is left to do.
    ///
    /// # Errors
    /// That does not come about in time.
    pub async fn settled(&self, nodes: usize) -> anyhow::Result<ScrapeRingStatus> {
        let settled = |status: &ScrapeRingStatus| {
            let active = status.members.iter().filter(|member| member.state == "Active").count();
            status.phase.as_deref() == Some("Healthy")
                && status.members.len() == nodes
                && active == nodes
                && status.ring.as_ref().is_some_and(|ring| ring.stable && ring.size == nodes as i32)
        };
        let status = self.status_when(&format!("a healthy ring of {nodes}"), settled).await?;
        let claims: Api<PersistentVolumeClaim> = self.api();
        let count = claims.list(&Default::default()).await?.items.len();
        ensure!(count == nodes, "{nodes} nodes and {count} volume claims");
        Ok(status)
    }

    /// Waits until the operator has renewed its lease so many times: time that passes as the operator itself counts it.
    ///
    /// # Errors
    /// It does not renew it.
    pub async fn renewals(&self, count: usize) -> anyhow::Result<()> {
        let leases: Api<Lease> = self.api();
        let mut last = None;
        for _ in 0..=count {
            last = until("a renewed lease", LIMIT, async || {
                let renewed = leases.get(OPERATOR).await?.spec.and_then(|spec| spec.renew_time);
                Ok(Some(renewed).filter(|renewed| renewed.is_some() && *renewed != last))
            })
            .await?;
        }
        Ok(())
    }

    /// The operator that holds the lease.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn leader(&self) -> anyhow::Result<Option<String>> {
        let lease = self.api::<Lease>().get_opt(OPERATOR).await?;
        Ok(lease.and_then(|lease| lease.spec?.holder_identity))
    }

    /// How often each pod's container was started again.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn restarts(&self) -> anyhow::Result<Vec<i32>> {
        let pods = self.api::<Pod>().list(&Default::default()).await?;
        let statuses = pods.items.into_iter().filter_map(|pod| pod.status?.container_statuses);
        Ok(statuses.flatten().map(|container| container.restart_count).collect())
    }

    /// The gateways of the ring's first nodes, with a token for its key-value store.
    ///
    /// # Errors
    /// The ring has no keys yet.
    pub async fn gateways(&self, nodes: u32) -> anyhow::Result<Gateways> {
        let secret = self.api::<Secret>().get(&format!("{RING}-keys")).await?;
        let key = secret.data.context("a Secret with keys")?.remove("jwt.key").context("a key that signs")?;
        self.gateways_signed_by(nodes, &key.0).await
    }

    /// The same, with a token that another key (Ed25519, PEM) has signed.
    ///
    /// # Errors
    /// The ring has no keys yet.
    pub async fn gateways_signed_by(&self, nodes: u32, key: &[u8]) -> anyhow::Result<Gateways> {
        let secret = self.api::<Secret>().get(&format!("{RING}-keys")).await?;
        let data = secret.data.context("a Secret with keys")?;
        let token = token(&data["ring.key"].0, key)?;
        let places = (0..nodes).map(|ordinal| self.kubelet.address(NAMESPACE, RING, ordinal));
        Gateways::new(token, places.collect::<anyhow::Result<_>>()?)
    }
}

/// A token as the ring's own issuer would sign it.
fn token(ring_key: &[u8], token_key: &[u8]) -> anyhow::Result<String> {
    let ring_key = STANDARD.decode(ring_key.trim_ascii())?;
    let digest = Sha256::new().chain_update(b"scrapering ring id\0").chain_update(&ring_key).finalize();
    let ring_id: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": format!("urn:scrapering:ring:{ring_id}"), "sub": "test", "aud": "scrapering-gateway",
        "nbf": now, "iat": now, "exp": now + 7200, "scope": "jobs:read results:read kv:read kv:write ring:admin",
    });
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt" });
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = rcgen::KeyPair::from_pem(std::str::from_utf8(token_key)?)?;
    let signature = rcgen::SigningKey::sign(&key, text.as_bytes())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
