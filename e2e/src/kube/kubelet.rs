//! The played scheduler and kubelet: binds pods, runs them as processes, probes them, ends them, and tells the server.

use super::control_plane::ControlPlane;
use super::node_pod::{self, Mounts};
use super::pod_process::{self, Access};
use super::volumes;
use crate::program::Process;
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// Pause between two looks at all pods.
const PAUSE: Duration = Duration::from_millis(250);
/// A container that ended is started again after this long.
const BACKOFF: Duration = Duration::from_secs(2);
/// How long a probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(3);
/// How long a pod may take to end before it is killed, if it does not say so itself.
const GRACE: Duration = Duration::from_secs(60);
/// Faults that are remembered.
const MAX_FAULTS: usize = 20;
/// An image of this tag cannot be pulled.
pub const MISSING_TAG: &str = ":missing";

/// The played kubelet. Dropped, it and all its pods end at once.
pub struct Kubelet {
    shared: Arc<Mutex<State>>,
    addresses: Addresses,
    lost: Lost,
    task: JoinHandle<()>,
}

/// Uids of the claims whose disks are lost: no pod starts on one.
type Lost = Arc<std::sync::Mutex<BTreeSet<String>>>;

/// Which loopback address a pod has: the same for every pod of that name, as the name would lead to it.
#[derive(Clone)]
struct Addresses {
    known: Arc<std::sync::Mutex<BTreeMap<String, Ipv4Addr>>>,
}

impl Addresses {
    /// The address of the host `pod.service.namespace.svc`.
    fn of(&self, host: &str) -> Option<Ipv4Addr> {
        let mut labels = host.split('.');
        let (pod, _, namespace) = (labels.next()?, labels.next()?, labels.next()?);
        let mut known = self.known.lock().expect("nobody panics while it holds this");
        let next = u8::try_from(known.len() + 1).ok()?;
        let process = std::process::id();
        // Tests run side by side, each a process: 127.x.y.* is this one's.
        let (second, third) = (64 + process % 128, process / 128 % 250 + 1);
        let address = Ipv4Addr::new(127, u8::try_from(second).ok()?, u8::try_from(third).ok()?, next);
        Some(*known.entry(format!("{namespace}/{pod}")).or_insert(address))
    }
}

#[derive(Default)]
struct State {
    pods: BTreeMap<String, Running>,
    /// What went wrong here last, for whoever wonders why a pod does not come up.
    faults: VecDeque<String>,
}

impl State {
    fn note(&mut self, fault: String) {
        if self.faults.len() == MAX_FAULTS {
            self.faults.pop_front();
        }
        self.faults.push_back(fault);
    }
}

/// A pod on its way out.
struct Stopping {
    since: Instant,
    /// What runs in the container before its process is told.
    hook: Option<Process>,
    is_told: bool,
}

/// A pod that was seen.
struct Running {
    uid: String,
    process: Option<Process>,
    variables: Vec<(String, String)>,
    ended: Option<Instant>,
    stopping: Option<Stopping>,
    restarts: i32,
    is_ready: bool,
    /// How it ended, if it is one that runs once.
    is_over: bool,
    told: Value,
}

struct Work {
    client: Client,
    access: Access,
    folder: PathBuf,
    addresses: Addresses,
    http: reqwest::Client,
    lost: Lost,
    shared: Arc<Mutex<State>>,
}

impl Kubelet {
    /// Begins to look after every pod of the cluster; data and logs are below `folder`.
    ///
    /// # Errors
    /// No probe can be made.
    pub fn start(plane: &ControlPlane, folder: &Path) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .timeout(PROBE_LIMIT)
            .pool_max_idle_per_host(0)
            .build()?;
        let folder = folder.join("machine");
        std::fs::create_dir_all(&folder)?;
        let addresses = Addresses { known: Arc::default() };
        let shared = Arc::new(Mutex::new(State::default()));
        let lost = Lost::default();
        let work = Work {
            client: plane.client(),
            access: Access::to(plane)?,
            folder,
            addresses: addresses.clone(),
            http,
            lost: Arc::clone(&lost),
            shared: Arc::clone(&shared),
        };
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = work.look().await {
                    work.shared.lock().await.note(format!("{error:#}"));
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Self { shared, addresses, lost, task })
    }

    /// Where the node of a ring's pod can be reached.
    ///
    /// # Errors
    /// There are more pods than addresses.
    pub fn address(&self, namespace: &str, ring: &str, ordinal: u32) -> anyhow::Result<Ipv4Addr> {
        self.addresses.of(&format!("{ring}-{ordinal}.{ring}-peers.{namespace}.svc")).context("no address is left")
    }

    /// Takes the disk behind a claim away from its pod, whose process is killed; no pod starts on that claim any more.
    ///
    /// # Errors
    /// The pod has no process.
    pub async fn lose_disk(&self, pod: &str, claim: &PersistentVolumeClaim) -> anyhow::Result<()> {
        let uid = claim.uid().context("a claim has a uid")?;
        self.lost.lock().expect("nobody panics while it holds this").insert(uid);
        self.signal(&claim.namespace().unwrap_or_default(), pod, "KILL").await
    }

    /// Sends a signal to the process of a pod.
    ///
    /// # Errors
    /// It has none.
    pub async fn signal(&self, namespace: &str, pod: &str, signal: &str) -> anyhow::Result<()> {
        let state = self.shared.lock().await;
        let running = state.pods.get(&format!("{namespace}/{pod}")).context("no such pod")?;
        running.process.as_ref().context("the pod has no process")?.signal(signal).await
    }

    /// What went wrong in the played kubelet last, and the last words of every pod that has a process.
    pub async fn tails(&self) -> String {
        let state = self.shared.lock().await;
        let tails =
            state.pods.iter().filter_map(|(name, it)| Some(format!("== {name}\n{}", it.process.as_ref()?.tail())));
        let faults = state.faults.iter().map(|fault| format!("the played kubelet: {fault}\n"));
        faults.chain(tails).collect()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Work {
    async fn look(&self) -> anyhow::Result<()> {
        volumes::provide(&self.client).await?;
        let pods = Api::<Pod>::all(self.client.clone()).list(&ListParams::default()).await?.items;
        let mut state = self.shared.lock().await;
        let mut faults = Vec::new();
        let key = |pod: &Pod| format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        let present: BTreeMap<String, Option<String>> = pods.iter().map(|pod| (key(pod), pod.uid())).collect();
        // A pod that is gone without having ended here was deleted by force.
        state.pods.retain(|name, running| present.get(name).is_some_and(|uid| uid.as_deref() == Some(&running.uid)));
        for pod in &pods {
            let running = state.pods.entry(key(pod)).or_insert_with(|| Running {
                uid: pod.uid().unwrap_or_default(),
                process: None,
                variables: Vec::new(),
                ended: None,
                stopping: None,
                restarts: 0,
                is_ready: false,
                is_over: false,
                told: Value::Null,
            });
            if let Err(error) = self.care_for(pod, running).await {
                faults.push(format!("{}: {error:#}", key(pod)));
            }
        }
        faults.into_iter().for_each(|fault| state.note(fault));
        Ok(())
    }

    async fn care_for(&self, pod: &Pod, running: &mut Running) -> anyhow::Result<()> {
        let namespace = pod.namespace().context("a pod has a namespace")?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        if pod.metadata.deletion_timestamp.is_some() {
            return self.end(&pods, pod, running).await;
        }
        if pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none()) {
            return bind(&self.client, pod).await;
        }
        let image = node_pod::container(pod)?.image.clone().unwrap_or_default();
        if image.ends_with(MISSING_TAG) {
            let waiting = json!({ "reason": "ImagePullBackOff", "message": format!("{image} is not found") });
            return tell(&pods, pod, running, json!({ "waiting": waiting }), None).await;
        }
        if running.is_over {
            return Ok(());
        }
        let host = format!("{}.peers.{namespace}.svc", pod.name_any());
        let ip = self.addresses.of(&host).context("no address is left")?;
        if let Some(process) = &mut running.process {
            if process.is_running()? {
                self.mounts(pod).await?;
                running.is_ready = self.probe(pod, ip).await?;
                let state = json!({ "running": {} });
                return tell(&pods, pod, running, state, Some(ip)).await;
            }
            if pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("Never") {
                let code = process.ended(PROBE_LIMIT).await?.code().unwrap_or(-1);
                tell_end(&pods, pod, code).await?;
                running.is_over = true;
                return Ok(());
            }
            running.process = None;
            running.is_ready = false;
            running.restarts += 1;
            running.ended = Some(Instant::now());
        }
        if running.ended.is_some_and(|ended| ended.elapsed() < BACKOFF) {
            let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "the process ended" } });
            return tell(&pods, pod, running, waiting, Some(ip)).await;
        }
        let Some(mounts) = self.mounts(pod).await? else { return Ok(()) };
        let mut variables = node_pod::variables(&self.client, pod, ip, &mounts, |host| self.addresses.of(host)).await?;
        let access = self.access.kubeconfig(&mounts)?;
        variables.extend(access.map(|file| ("KUBECONFIG".to_owned(), file.display().to_string())));
        let started = pod_process::start(&self.client, pod, &pod.name_any(), &self.folder, &variables).await?;
        running.process = Some(started);
        running.variables = variables;
        tell(&pods, pod, running, json!({ "running": {} }), Some(ip)).await
    }

    /// A folder for each mount; `None` while a volume is not there yet.
    async fn mounts(&self, pod: &Pod) -> anyhow::Result<Option<Mounts>> {
        let namespace = pod.namespace().context("a pod has a namespace")?;
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut folders = BTreeMap::new();
        for volume in volumes {
            let of_pod = self.folder.join(format!("{namespace}-{}-{}", pod.name_any(), volume.name));
            let folder = match &volume.persistent_volume_claim {
                Some(source) => {
                    let claim = claims.get_opt(&source.claim_name).await?;
                    let Some(uid) = claim.and_then(|claim| claim.uid()) else { return Ok(None) };
                    if self.lost.lock().expect("nobody panics while it holds this").contains(&uid) {
                        return Ok(None);
                    }
                    self.folder.join(format!("volume-{uid}"))
                }
                None => of_pod,
            };
            std::fs::create_dir_all(&folder)?;
            node_pod::project(&self.client, pod, &volume.name, &folder).await?;
            folders.insert(volume.name.clone(), folder);
        }
        let mounts = node_pod::container(pod)?.volume_mounts.iter().flatten();
        Ok(Some(mounts.filter_map(|it| Some((it.mount_path.clone(), folders.get(&it.name)?.clone()))).collect()))
    }

    async fn probe(&self, pod: &Pod, ip: Ipv4Addr) -> anyhow::Result<bool> {
        let Some(url) = pod_process::readiness(node_pod::container(pod)?, ip)? else { return Ok(true) };
        Ok(self.http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()))
    }

    /// The hook, SIGTERM, and at the end of the grace period SIGKILL; then the pod is gone.
    async fn end(&self, pods: &Api<Pod>, pod: &Pod, running: &mut Running) -> anyhow::Result<()> {
        if let Some(process) = &mut running.process
            && process.is_running()?
        {
            let Some(stopping) = &mut running.stopping else {
                let hook = pod_process::pre_stop(&self.client, pod, &self.folder, &running.variables).await?;
                running.stopping = Some(Stopping { since: Instant::now(), hook, is_told: false });
                return Ok(());
            };
            let grace = pod.metadata.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            if stopping.since.elapsed() > grace.map_or(GRACE, Duration::from_secs) {
                return process.start_kill();
            }
            if let Some(hook) = &mut stopping.hook {
                if hook.is_running()? {
                    return Ok(());
                }
                let ended = hook.ended(PROBE_LIMIT).await?;
                stopping.hook = None;
                ensure!(ended.code() == Some(0), "what runs before the end has failed: {}", ended.err);
            }
            if !stopping.is_told {
                process.signal("TERM").await?;
                stopping.is_told = true;
            }
            return Ok(());
        }
        running.process = None;
        let exactly = Preconditions { uid: pod.uid(), resource_version: None };
        let now = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default().grace_period(0) };
        match pods.delete(&pod.name_any(), &now).await {
            Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

async fn bind(client: &Client, pod: &Pod) -> anyhow::Result<()> {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name },
        "target": { "apiVersion": "v1", "kind": "Node", "name": "machine" },
    });
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let plain = PostParams::default();
    let bound = pods.create_subresource::<Value, Value>("binding", &name, &plain, &binding);
    match bound.await {
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Writes how a pod that runs once has ended.
async fn tell_end(pods: &Api<Pod>, pod: &Pod, code: i32) -> anyhow::Result<()> {
    let name = node_pod::container(pod)?.name.clone();
    let status = json!({ "metadata": { "uid": pod.uid() }, "status": {
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "conditions": [{ "type": "Ready", "status": "False", "reason": "PodCompleted" }],
        "containerStatuses": [{
            "name": name, "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": { "terminated": { "exitCode": code } },
        }],
    }});
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

/// Writes the pod's status, if it says something new.
async fn tell(
    pods: &Api<Pod>,
    pod: &Pod,
    running: &mut Running,
    state: Value,
    ip: Option<Ipv4Addr>,
) -> anyhow::Result<()> {
    let ready = if running.is_ready { "True" } else { "False" };
    let fact = json!([state, ready, running.restarts, ip]);
    if running.told == fact {
        return Ok(());
    }
    let now = serde_json::to_value(k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())?;
    let mut state = state;
    if let Some(running) = state.get_mut("running") {
        running["startedAt"] = now.clone();
    }
    let condition = |type_: &str| json!({ "type": type_, "status": ready, "lastTransitionTime": now });
    let name = node_pod::container(pod)?.name.clone();
    let status = json!({ "metadata": { "uid": pod.uid() }, "status": {
        "phase": if ip.is_some() { "Running" } else { "Pending" },
        "podIP": ip, "podIPs": ip.map(|ip| vec![json!({ "ip": ip })]),
        "conditions": [condition("Ready"), condition("ContainersReady")],
        "containerStatuses": [{
            "name": name, "ready": running.is_ready, "restartCount": running.restarts,
            "image": "", "imageID": "", "state": state,
        }],
    }});
    match pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await {
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => {}
        other => {
            other?;
            running.told = fact;
        }
    }
    Ok(())
}
