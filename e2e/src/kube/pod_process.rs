//! From a container of a pod to the process that stands for it: its program, its words, its way to the API server, and where it
//! is asked whether it is ready.

use super::control_plane::ControlPlane;
use super::node_pod::{self, Mounts};
use crate::program::{Process, built};
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Container, Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Where a container finds the token of its service account.
const ACCOUNT_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How pods reach the API server.
#[derive(Clone, Debug)]
pub struct Access {
    server: String,
    authority: PathBuf,
}

impl Access {
    /// The way to this control plane.
    ///
    /// # Errors
    /// The working folder is gone.
    pub fn to(plane: &ControlPlane) -> anyhow::Result<Self> {
        let authority = std::path::absolute(plane.folder().join("ca.crt"))?;
        Ok(Self { server: plane.server().to_owned(), authority })
    }

    /// What a client in a pod finds at fixed paths and in variables that the kubelet sets, as a file; `None` for a pod without
    /// a token.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn kubeconfig(&self, mounts: &Mounts) -> anyhow::Result<Option<PathBuf>> {
        let Some(folder) = mounts.get(ACCOUNT_MOUNT) else { return Ok(None) };
        let (server, authority) = (&self.server, self.authority.display());
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: pod\n\
             clusters: [{{name: pod, cluster: {{server: \"{server}\", certificate-authority: \"{authority}\"}}}}]\n\
             users: [{{name: pod, user: {{tokenFile: \"{}\"}}}}]\ncontexts: [{{name: pod, context: {{cluster: pod, user: pod}}}}]\n",
            folder.join("token").display(),
        );
        let file = folder.join("kubeconfig");
        std::fs::write(&file, text)?;
        Ok(Some(file))
    }
}

/// Starts the process of the pod's container in `folder`.
///
/// # Errors
/// Its program is none of this workspace, or nobody serves where one of its words leads.
pub async fn start(
    client: &Client,
    pod: &Pod,
    name: &str,
    folder: &Path,
    variables: &[(String, String)],
) -> anyhow::Result<Process> {
    let container = node_pod::container(pod)?;
    let words = container.command.iter().flatten().chain(container.args.iter().flatten());
    run(client, words, name, folder, variables).await
}

/// Starts what is to run in the pod's container before its process is told to end; `None` if there is nothing.
///
/// # Errors
/// As [`start`], or it is of a kind that is not played.
pub async fn pre_stop(
    client: &Client,
    pod: &Pod,
    folder: &Path,
    variables: &[(String, String)],
) -> anyhow::Result<Option<Process>> {
    let hook = node_pod::container(pod)?.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let Some(hook) = hook else { return Ok(None) };
    let exec = hook.exec.as_ref().context("only commands are played before a container ends")?;
    let name = format!("{}-prestop", pod.name_any());
    run(client, exec.command.iter().flatten(), &name, folder, variables).await.map(Some)
}

async fn run(
    client: &Client,
    words: impl Iterator<Item = &String>,
    name: &str,
    folder: &Path,
    variables: &[(String, String)],
) -> anyhow::Result<Process> {
    let (mut program, mut arguments) = (None, Vec::new());
    for word in words {
        match program {
            None => program = Some(built(word)?),
            Some(_) => arguments.push(resolved(client, word).await?),
        }
    }
    let program = program.context("a container names its command")?;
    Process::start_program_with(&program, folder, name, arguments, variables)
}

/// Where the container is asked whether it is ready; `None` if it is ready as soon as it runs.
///
/// # Errors
/// The probe is of a kind that is not played, or names a port that the container does not have.
pub fn readiness(container: &Container, ip: Ipv4Addr) -> anyhow::Result<Option<String>> {
    let Some(probe) = &container.readiness_probe else { return Ok(None) };
    let get = probe.http_get.as_ref().context("only HTTP probes are played")?;
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let port = port(container, &get.port)?;
    Ok(Some(format!("{scheme}://{ip}:{port}{}", get.path.as_deref().unwrap_or("/"))))
}

/// The number of a port.
///
/// # Errors
/// The container has none of that name.
pub fn port(container: &Container, port: &IntOrString) -> anyhow::Result<i32> {
    match port {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let found = ports.find(|port| port.name.as_ref() == Some(name));
            Ok(found.with_context(|| format!("the container has no port {name}"))?.container_port)
        }
    }
}

/// A URL of a Service becomes that of a ready pod behind it: what a resolver and a proxy of the cluster would have done.
async fn resolved(client: &Client, word: &str) -> anyhow::Result<String> {
    let Some((scheme, rest)) = word.split_once("://") else { return Ok(word.to_owned()) };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, number) = host.split_once(':').context("the address of a Service has a port")?;
    let [service, namespace, "svc"] = name.split('.').collect::<Vec<_>>()[..] else { return Ok(word.to_owned()) };
    let found = Api::<Service>::namespaced(client.clone(), namespace).get(service).await?;
    let spec = found.spec.context("a Service has a spec")?;
    let asked = spec.ports.into_iter().flatten().find(|port| port.port.to_string() == number);
    let asked = asked.with_context(|| format!("Service {service} has no port {number}"))?;
    let labels: Vec<String> = spec.selector.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    ensure!(!labels.is_empty(), "Service {service} selects nobody");
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await?.items;
    let ready = pods.iter().find(|pod| is_ready(pod)).with_context(|| format!("nobody serves {service}"))?;
    let ip = ready.status.as_ref().and_then(|status| status.pod_ip.clone()).context("a ready pod has an address")?;
    let target = asked.target_port.unwrap_or(IntOrString::Int(asked.port));
    Ok(format!("{scheme}://{ip}:{}/{path}", port(node_pod::container(ready)?, &target)?))
}

/// Whether a pod says that it is ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.type_ == "Ready").any(|condition| condition.status == "True")
}
