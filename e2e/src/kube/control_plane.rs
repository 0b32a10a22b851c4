//! etcd, kube-apiserver and kube-controller-manager on loopback, for as long as a test lives.

use super::ASSETS;
use super::credentials::Credentials;
use crate::door::until;
use crate::ports::Ports;
use crate::program::Process;
use anyhow::{Context, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long the control plane may take to be ready on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];
/// The controllers that a ring and the chart meet. A scheduler and a kubelet are played by [`super::Kubelet`].
const CONTROLLERS: &str = "statefulset-controller,deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller,\
                           disruption-controller,serviceaccount-controller,persistentvolumeclaim-protection-controller,\
                           horizontal-pod-autoscaler-controller";

/// The folder of the control plane's programs; `None` where the variable is unset, which means: skip, and say so.
///
/// # Errors
/// The folder lacks a program.
pub fn assets() -> anyhow::Result<Option<PathBuf>> {
    let Some(folder) = std::env::var_os(ASSETS).map(PathBuf::from) else { return Ok(None) };
    for program in PROGRAMS {
        ensure!(folder.join(program).is_file(), "{ASSETS}: there is no {program} in {}", folder.display());
    }
    Ok(Some(folder))
}

/// The programs of [`assets`] and a folder to work in; `None`, said aloud, where there are none.
///
/// # Errors
/// As [`assets`], or no folder can be made.
#[allow(clippy::print_stderr, reason = "a test that proves nothing must say so")]
pub fn workplace() -> anyhow::Result<Option<(PathBuf, TempDir)>> {
    let Some(assets) = assets()? else {
        eprintln!("SKIPPED: {ASSETS} is unset");
        return Ok(None);
    };
    Ok(Some((assets, tempfile::tempdir()?)))
}

/// A running control plane. Dropped, it is killed.
pub struct ControlPlane {
    client: Client,
    folder: PathBuf,
    server: String,
    _ports: Ports,
    _processes: Vec<Process>,
}

impl ControlPlane {
    /// Starts one below `folder` and installs the custom resource definitions.
    ///
    /// # Errors
    /// A program ends at once, or the server is not ready in time.
    pub async fn start(assets: &Path, folder: &Path) -> anyhow::Result<Self> {
        let plane = Self::bare(assets, folder).await?;
        plane.install_definitions().await?;
        Ok(plane)
    }

    /// Starts one below `folder` that knows nothing of this project.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn bare(assets: &Path, folder: &Path) -> anyhow::Result<Self> {
        // A second test of this process finds it installed already.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let folder = folder.join("control-plane");
        std::fs::create_dir_all(&folder)?;
        let credentials = Credentials::make(&folder)?;
        credentials.issue("server", "kube-apiserver", None)?;
        credentials.issue("admin", "admin", Some("system:masters"))?;
        // One user for all controllers, where a cluster has one for each.
        credentials.issue("controllers", "system:kube-controller-manager", Some("system:masters"))?;
        credentials.bare_key("accounts")?;
        let ports = Ports::take()?;
        let server = format!("https://127.0.0.1:{}", ports.gateway());
        for user in ["admin", "controllers"] {
            std::fs::write(folder.join(format!("{user}.kubeconfig")), kubeconfig(&server, user))?;
        }
        let (clients, peers) = (ports.ring(), ports.ring() + 1);
        let start = |program: &str, arguments: Vec<String>| {
            Process::start_program(&assets.join(program), &folder, program, arguments)
        };
        let mut processes =
            vec![start("etcd", etcd(clients, peers))?, start("kube-apiserver", api_server(clients, ports.gateway()))?];
        let client = client(&folder.join("admin.kubeconfig")).await?;
        let ready = until("a ready API server", START_LIMIT, async || {
            for process in &mut processes {
                ensure!(process.is_running()?, "a part of the control plane has ended:\n{}", process.tail());
            }
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.ok().filter(|answer| answer == "ok").map(drop))
        });
        ready.await?;
        processes.push(start("kube-controller-manager", controller_manager())?);
        Ok(Self { client, folder, server, _ports: ports, _processes: processes })
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The server's address, `https://...`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Where its files are: `ca.crt`, `admin.crt`, `admin.key`, `admin.kubeconfig`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    async fn install_definitions(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client());
        for definition in scrapering_crds::definitions() {
            let name = definition.metadata.name.clone().context("a definition has a name")?;
            definitions.create(&kube::api::PostParams::default(), &definition).await?;
            until("an established definition", START_LIMIT, async || {
                let status = definitions.get(&name).await?.status;
                let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
                Ok(conditions.iter().any(|it| it.type_ == "Established" && it.status == "True").then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // A refused eviction is an answer, and no reason to ask again.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Paths are relative to the file, as kubectl has it too.
fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: \"{server}\", certificate-authority: ca.crt}}}}]\n\
         users: [{{name: test, user: {{client-certificate: {user}.crt, client-key: {user}.key}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
    )
}

fn etcd(clients: u16, peers: u16) -> Vec<String> {
    let (clients, peers) = (format!("http://127.0.0.1:{clients}"), format!("http://127.0.0.1:{peers}"));
    options(&[
        ("data-dir", "etcd"),
        ("listen-client-urls", &clients),
        ("advertise-client-urls", &clients),
        ("listen-peer-urls", &peers),
        ("initial-advertise-peer-urls", &peers),
        ("initial-cluster", &format!("default={peers}")),
        // The data dies with the test.
        ("unsafe-no-fsync", "true"),
    ])
}

fn api_server(etcd: u16, port: u16) -> Vec<String> {
    options(&[
        ("etcd-servers", &format!("http://127.0.0.1:{etcd}")),
        ("secure-port", &port.to_string()),
        ("bind-address", "127.0.0.1"),
        ("tls-cert-file", "server.crt"),
        ("tls-private-key-file", "server.key"),
        ("client-ca-file", "ca.crt"),
        ("service-account-issuer", "https://kubernetes.default.svc"),
        ("service-account-key-file", "accounts.pub"),
        ("service-account-signing-key-file", "accounts.key"),
        ("authorization-mode", "RBAC"),
        ("service-cluster-ip-range", "10.0.0.0/24"),
    ])
}

fn controller_manager() -> Vec<String> {
    options(&[
        ("kubeconfig", "controllers.kubeconfig"),
        ("controllers", CONTROLLERS),
        ("service-account-private-key-file", "accounts.key"),
        ("leader-elect", "false"),
        ("secure-port", "0"),
    ])
}

fn options(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
