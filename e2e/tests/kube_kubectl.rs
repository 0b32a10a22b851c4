//! What a person types: `kubectl` itself against a real API server, from a ring of five lines to a job that is gone.
//!
//! The control plane's programs are found in `KUBEBUILDER_ASSETS`; where it is unset, or where there is no `kubectl`,
//! this test does nothing, and says so.

#![allow(clippy::print_stderr, reason = "a test says what it saw")]

use anyhow::{Context, ensure};
use scrapering_e2e::door::until;
use scrapering_e2e::kube::Stage;
use scrapering_e2e::kube::stage::LIMIT;
use scrapering_e2e::program::{Ended, Process};
use scrapering_e2e::shop;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const PRODUCTS: u32 = 20;

const RING: &str = "apiVersion: scrapering.io/v1alpha1
kind: ScrapeRing
metadata: {name: main}
spec:
  replicas: 1
  scraping: {allowedPrivateCidrs: [127.0.0.0/8]}
";

/// A job with a misspelt field, and one with a value that its rules forbid.
const WRONG: [(&str, &str, &str); 2] = [
    ("misspelt", "spec: {seeds: [{url: 'https://a.example/'}], politness: {}}", "unknown field \"spec.politness\""),
    ("without-seeds", "spec: {seeds: []}", "spec.seeds"),
];

struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: PathBuf,
    /// Each run has files of its own for what it says.
    runs: AtomicU32,
}

impl Kubectl {
    /// The one on the `PATH`, if there is one.
    fn if_any(stage: &Stage, folder: &Path) -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file())?;
        let kubeconfig = stage.plane.folder().join("admin.kubeconfig");
        Some(Self { program, kubeconfig, folder: folder.to_owned(), runs: AtomicU32::new(0) })
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let kubeconfig = self.kubeconfig.to_string_lossy().into_owned();
        let all = ["--kubeconfig", kubeconfig.as_str(), "--cache-dir", "kubectl-cache"].into_iter();
        let name = format!("kubectl-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        Process::start_program(&self.program, &self.folder, &name, all.chain(arguments.iter().copied()))?
            .ended(2 * LIMIT)
            .await
    }

    async fn done(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let ended = self.run(arguments).await?;
        ensure!(ended.code() == Some(0), "kubectl {}: {ended:?}", arguments.join(" "));
        eprintln!("$ kubectl {}\n{}", arguments.join(" "), ended.out);
        Ok(ended.out)
    }

    /// Writes `text` to a file and applies it.
    async fn apply(&self, name: &str, text: &str) -> anyhow::Result<Ended> {
        let file = format!("{name}.yaml");
        std::fs::write(self.folder.join(&file), text)?;
        self.run(&["apply", "-f", &file]).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_applies_a_ring_and_a_job_waits_for_them_explains_them_and_deletes_them() -> anyhow::Result<()> {
    let Some((stage, folder)) = Stage::if_any().await? else { return Ok(()) };
    let Some(kubectl) = Kubectl::if_any(&stage, folder.path()) else {
        eprintln!("SKIPPED: there is no kubectl on the PATH");
        return Ok(());
    };
    let shop = shop::start(shop::Config { products: PRODUCTS, ..shop::Config::default() }).await?;
    let applied = kubectl.apply("ring", RING).await?;
    ensure!(applied.code() == Some(0) && applied.out.contains("main created"), "{applied:?}");
    let limit = format!("--timeout={}s", LIMIT.as_secs());
    kubectl.done(&["wait", "--for=condition=Ready", "sring/main", &limit]).await?;

    for (name, spec, words) in WRONG {
        let head = format!("apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {{name: {name}}}\n");
        let refused = kubectl.apply(name, &format!("{head}{spec}\n")).await?;
        ensure!(refused.code() == Some(1) && refused.err.contains(words), "{name}: {refused:?}");
    }
    let example = std::fs::read_to_string("../examples/shop.yaml")?;
    let applied = kubectl.apply("job", &example.replace("http://127.0.0.1:8080/", &shop.url())).await?;
    ensure!(applied.code() == Some(0), "{applied:?}");
    kubectl.done(&["wait", "--for=condition=Complete", "sjob/shop", &limit]).await?;
    // Applied once more, nothing is new.
    let generation = ["get", "sjob/shop", "-o", "jsonpath={.metadata.generation}"];
    let before = kubectl.done(&generation).await?;
    ensure!(kubectl.apply("job", &example.replace("http://127.0.0.1:8080/", &shop.url())).await?.code() == Some(0));
    ensure!(kubectl.done(&generation).await? == before, "the same file is another job");

    let printed = kubectl.done(&["get", "sring,sjob"]).await?;
    let line = printed.lines().find(|line| line.contains("/shop")).context("no line of the job")?;
    ensure!(line.contains("Complete") && line.contains(&format!(" {PRODUCTS} ")), "{printed}");
    let explained = kubectl.done(&["explain", "scrapejob.spec.politeness.delay"]).await?;
    ensure!(explained.contains("DESCRIPTION") && explained.contains("delay"), "{explained}");

    // Both ways to start every node anew lead through the operator, which lets one go after the other.
    for restart in [
        ["rollout", "restart", "statefulset/main", "--namespace=default"],
        ["annotate", "sring/main", "scrapering.io/restart-at=today", "--overwrite"],
    ] {
        let uid = ["get", "pod/main-0", "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"];
        let before = kubectl.done(&uid).await?;
        kubectl.done(&restart).await?;
        until("another pod in the place of the first", LIMIT, async || {
            let now = kubectl.run(&uid).await?;
            Ok((now.code() == Some(0) && !now.out.is_empty() && now.out != before).then_some(()))
        })
        .await?;
        stage.settled(1).await?;
    }

    // Scaled by hand and by the autoscaler, which finds the ring's number and its pods behind `/scale`.
    kubectl.done(&["scale", "sring/main", "--replicas=3", "--current-replicas=1"]).await?;
    stage.settled(3).await?;
    let refused = kubectl.run(&["scale", "sring/main", "--replicas=2"]).await?;
    ensure!(refused.code() == Some(1) && refused.err.contains("three"), "{refused:?}");
    let selector = kubectl.done(&["get", "sring/main", "-o", "jsonpath={.status.selector}"]).await?;
    let pods = kubectl.done(&["get", "pods", "-l", &selector, "-o", "name"]).await?;
    ensure!(pods.lines().collect::<Vec<_>>() == ["pod/main-0", "pod/main-1", "pod/main-2"], "{selector}: {pods}");
    kubectl.done(&["autoscale", "sring/main", "--min=3", "--max=5", "--cpu-percent=70"]).await?;
    kubectl.done(&["wait", "--for=condition=AbleToScale", "hpa/main", &limit]).await?;
    let known = kubectl.done(&["get", "hpa/main", "-o", "jsonpath={.status.currentReplicas}"]).await?;
    ensure!(known == "3", "the autoscaler sees {known} nodes");
    kubectl.done(&["delete", "hpa/main"]).await?;

    kubectl.done(&["delete", "sjob/shop", "sring/main", &limit]).await?;
    ensure!(kubectl.done(&["get", "sring,sjob", "-o", "name"]).await?.is_empty(), "something is left");
    // The garbage collector removes what the ring owned, in its own time.
    until("a ring without a trace", LIMIT, async || {
        let of_ring = ["get", "statefulset,service,configmap", "-l", "app.kubernetes.io/instance=main", "-o", "name"];
        let left = kubectl.run(&of_ring).await?;
        ensure!(left.code() == Some(0), "{left:?}");
        Ok(left.out.is_empty().then_some(()))
    })
    .await
}
