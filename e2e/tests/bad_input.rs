//! What a new user gets for bad input and bad luck: one sentence that says what and what to do, a status that is not 0, nothing half-written.

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::errand::Errand;
use scrapering_e2e::ports::Ports;
use scrapering_e2e::program::{self, Ended};
use scrapering_e2e::ring::Ring;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// A job that nothing is wrong with, but that its site is not there.
const JOB: &str = "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {name: shop}
spec:
  seeds: [{url: \"http://shop.example/\"}]
";

/// Whether the command ended with this status, after one line on stderr that holds all these words.
fn check(ended: &Ended, status: i32, words: &[&str]) -> anyhow::Result<()> {
    ensure!(ended.code() == Some(status), "status {status} was due: {ended:#?}");
    let told = ended.err.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    ensure!(told == 1, "{told} lines hold all of {words:?}: {ended:#?}");
    let errors = ended.err.lines().filter(|line| line.starts_with("error:")).count();
    ensure!(errors <= 1, "more than one error is told: {ended:#?}");
    for noise in ["panicked", "RUST_BACKTRACE", "Os {", "Error {"] {
        ensure!(!ended.err.contains(noise), "{noise:?} is no word for a user: {ended:#?}");
    }
    Ok(())
}

async fn scrapering(folder: &Path, arguments: &[&str]) -> anyhow::Result<Ended> {
    program::run(folder, "command", LIMIT, arguments).await
}

/// Runs `job` on a ring of one that is made in `folder/ring`.
async fn run(folder: &Path, job: &str, ports: &Ports, more: &[&str]) -> anyhow::Result<Ended> {
    std::fs::write(folder.join("job.yaml"), job)?;
    let ports = ports.options();
    let mut arguments = vec!["run", "job.yaml", "--data", "ring", "--nodes", "1"];
    arguments.extend(ports.iter().map(String::as_str));
    arguments.extend(more);
    scrapering(folder, &arguments).await
}

/// Every file below `folder` with its content.
fn snapshot(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut snapshot(&path)?);
        } else {
            files.insert(path.clone(), std::fs::read(&path)?);
        }
    }
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_job_file_is_refused_with_its_line_or_field_and_nothing_is_begun() -> anyhow::Result<()> {
    let cases: [(&str, String, &[&str]); 8] = [
        ("a bracket that is not closed", JOB.replace("/\"}]", "/\"}"), &["job.yaml: line "]),
        ("a tab", JOB.replace("  seeds", "\tseeds"), &["job.yaml: line 5"]),
        ("an unknown field", JOB.replace("seeds:", "seedz:"), &["job.yaml: spec", "seedz"]),
        (
            "an unknown field deep inside",
            format!("{JOB}  scope: {{maxDeep: 3}}\n"),
            &["job.yaml: spec.scope", "maxDeep"],
        ),
        ("a wrong type", format!("{JOB}  limits: {{maxPages: many}}\n"), &["job.yaml: spec.limits.maxPages"]),
        ("a value out of bounds", format!("{JOB}  limits: {{maxPages: 0}}\n"), &["job.yaml: spec.limits.maxPages"]),
        (
            "a selector that is none",
            format!("{JOB}  extract: [{{name: x, fields: [{{name: t, selector: \"h1[\"}}]}}]\n"),
            &["job.yaml: spec.extract[0].fields[0].selector"],
        ),
        ("an empty file", String::new(), &["job.yaml: "]),
    ];
    for (case, job, words) in cases {
        let folder = tempfile::tempdir()?;
        let ended = run(folder.path(), &job, &Ports::take()?, &["--output", "items.jsonl"]).await?;
        check(&ended, 2, words).context(case)?;
        ensure!(ended.out.is_empty(), "{case}: {}", ended.out);
        for made in ["ring", "items.jsonl", "items.jsonl.cursor"] {
            ensure!(!folder.path().join(made).exists(), "{case}: {made} was made");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_read_or_written_is_named_and_nothing_is_begun() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = Ports::take()?;
    let ended = scrapering(folder.path(), &["run", "none.yaml", "--data", "ring"]).await?;
    check(&ended, 2, &["none.yaml cannot be read"])?;
    std::fs::create_dir(folder.path().join("taken"))?;
    for output in ["no/such/items.jsonl", "taken", "/dev/full/items.jsonl"] {
        let folder = folder.path();
        let ended = run(folder, JOB, &ports, &["--output", output]).await?;
        check(&ended, 2, &[output, "cannot be written", "--output"])?;
        ensure!(!folder.join("ring").exists(), "a ring was made");
    }
    Ok(())
}

#[tokio::test]
async fn a_seed_that_does_not_answer_fails_the_job_in_words() -> anyhow::Result<()> {
    let (folder, ports) = (tempfile::tempdir()?, Ports::take()?);
    let seed = format!("http://127.0.0.1:{}/", ports.spare());
    let job = format!("{}  retry: {{maxRetries: 0}}\n", JOB.replace("http://shop.example/", &seed));
    let more = ["--output", "items.jsonl", "--allow-private-cidr", "127.0.0.0/8"];
    let ended = run(folder.path(), &job, &ports, &more).await?;
    check(&ended, 1, &["Failed: 0 pages, 0 items"])?;
    check(&ended, 1, &["not one page could be fetched"])?;
    ensure!(std::fs::read(folder.path().join("items.jsonl"))?.is_empty(), "items of a site that is not there");
    ensure!(!folder.path().join("items.jsonl.cursor").exists(), "a job that has ended leaves its cursor");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_seed_is_not_visited_unless_that_is_allowed() -> anyhow::Result<()> {
    let (folder, ports) = (tempfile::tempdir()?, Ports::take()?);
    let errand = Errand::begin(folder.path(), 3, Duration::ZERO).await?;
    let ended = run(folder.path(), &errand.job(""), &ports, &["--output", "items.jsonl"]).await?;
    check(&ended, 1, &["Failed: 0 pages, 0 items"])?;
    check(&ended, 1, &["privateAddress"])?;
    check(&ended, 1, &["--allow-private-cidr"])?;
    let log = std::fs::read_to_string(folder.path().join("access.jsonl"))?;
    ensure!(log.is_empty(), "the shop was visited: {log}");
    let more = ["--output", "items.jsonl", "--allow-private-cidr", "127.0.0.0/8"];
    let ended = run(folder.path(), &errand.job(""), &ports, &more).await?;
    ensure!(ended.code() == Some(0), "what is allowed is not visited either: {ended:#?}");
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named_and_no_ring_is_made() -> anyhow::Result<()> {
    let (folder, ports) = (tempfile::tempdir()?, Ports::take()?);
    let options = ports.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    for (port, option) in
        [(ports.gateway(), "--gateway"), (ports.ring(), "--ring-port"), (ports.ring() + 2, "--ring-port")]
    {
        let _taken = TcpListener::bind(("127.0.0.1", port))?;
        let address = format!("127.0.0.1:{port} is in use");
        for command in [&["up"][..], &["run", "job.yaml"]] {
            std::fs::write(folder.path().join("job.yaml"), JOB)?;
            let arguments = [command, &["--data", "ring", "--nodes", "3"], &options].concat();
            check(&scrapering(folder.path(), &arguments).await?, 1, &[&address, option])?;
            ensure!(!folder.path().join("ring").exists(), "a ring was made");
        }
    }
    let ring = Ring::init(folder.path(), 1).await?;
    let before = snapshot(&ring.root())?;
    let _taken = TcpListener::bind(("127.0.0.1", ring.ports().ring()))?;
    let address = format!("127.0.0.1:{} is in use", ring.ports().ring());
    for command in [&["node", "--ring-dir", "ring", "--name", "ring-0"][..], &["up", "--data", "ring"]] {
        check(&scrapering(folder.path(), command).await?, 1, &[&address])?;
        ensure!(snapshot(&ring.root())? == before, "the ring's folder has changed");
    }
    Ok(())
}

#[tokio::test]
async fn the_data_of_another_ring_is_refused_and_left_as_it_is() -> anyhow::Result<()> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut ring = Ring::start(one.path(), 1).await?;
    ring.stop().await?;
    let stranger = Ring::init(other.path(), 1).await?;
    copy(&ring.root().join("ring-0/data"), &stranger.root().join("ring-0/data"))?;
    let before = snapshot(&stranger.root())?;
    for command in [&["node", "--ring-dir", "ring", "--name", "ring-0"][..], &["up", "--data", "ring"]] {
        let ended = scrapering(other.path(), command).await?;
        check(&ended, 1, &["error: ", "ring-0/data belongs to ring ", "give this node its own folder"])?;
        ensure!(snapshot(&stranger.root())? == before, "the other ring's data has changed");
    }
    // Its own data with another ring's key.
    std::fs::copy(stranger.root().join("ring.key"), ring.root().join("ring.key"))?;
    let ended = scrapering(one.path(), &["node", "--ring-dir", "ring", "--name", "ring-0"]).await?;
    check(&ended, 1, &["error: ", "key"])?;
    // No ring at all, and a node that is not in it.
    let ended = scrapering(one.path(), &["node", "--ring-dir", "ring", "--name", "ring-7"]).await?;
    check(&ended, 2, &["no node \"ring-7\"", "ring-0"])?;
    std::fs::create_dir(one.path().join("photos"))?;
    std::fs::write(one.path().join("photos/holiday.jpg"), "x")?;
    for command in [&["up", "--data", "photos"][..], &["init", "--data", "photos"]] {
        let ports = Ports::take()?.options();
        let options: Vec<&str> = ports.iter().map(String::as_str).collect();
        let ended = scrapering(one.path(), &[command, &options].concat()).await?;
        check(&ended, 1, &["error: ", "photos has no ring.json", "holiday.jpg"])?;
    }
    Ok(())
}

#[tokio::test]
async fn data_that_another_process_uses_is_refused() -> anyhow::Result<()> {
    let (folder, copied) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut ring = Ring::start(folder.path(), 1).await?;
    // The same ring at other ports, with the same data behind it.
    let ports = Ports::take()?;
    copy(&ring.root(), &copied.path().join("ring"))?;
    let file = copied.path().join("ring/ring.json");
    let words = std::fs::read_to_string(&file)?;
    let words = words.replace(&format!(":{}\"", ring.ports().ring()), &format!(":{}\"", ports.ring()));
    let words = words.replace(&format!(":{}\"", ring.ports().gateway()), &format!(":{}\"", ports.gateway()));
    std::fs::write(&file, words)?;
    let data = copied.path().join("ring/ring-0/data");
    std::fs::remove_dir_all(&data)?;
    std::os::unix::fs::symlink(ring.root().join("ring-0/data"), &data)?;
    let ended = scrapering(copied.path(), &["node", "--ring-dir", "ring", "--name", "ring-0"]).await?;
    check(&ended, 1, &["error: ", "ring-0/data is in use by another scrapering process", "stop it"])?;
    // The first one did not notice.
    ring.door().submit(JOB).await?;
    ring.stop().await
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_told_why() -> anyhow::Result<()> {
    let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut ring = Ring::start(folder.path(), 1).await?;
    Ring::init(other.path(), 1).await?;
    let create = |scope: &'static str| ["token", "create", "--data", "ring", "--scope", scope];
    let foreign = scrapering(other.path(), &create("jobs:read")).await?.out;
    for token in ["", "nonsense", foreign.trim()] {
        let answer = ring.door().with_token(token).ask(Method::GET, "/v1/jobs", None).await?;
        ensure!(answer.status == StatusCode::UNAUTHORIZED, "{token:?}: {answer:?}");
        let problem = answer.json()?;
        ensure!(problem["status"] == 401 && problem["detail"].is_string(), "{problem}");
    }
    let narrow = program::run(folder.path(), "narrow", LIMIT, create("jobs:read")).await?.out;
    let answer = ring.door().with_token(narrow.trim()).ask(Method::POST, "/v1/jobs", Some(JOB)).await?;
    ensure!(answer.status == StatusCode::FORBIDDEN && answer.body.contains("jobs:write"), "{answer:?}");
    std::fs::write(folder.path().join("foreign"), foreign)?;
    let ended = scrapering(folder.path(), &["job", "list", "--data", "ring", "--token-file", "foreign"]).await?;
    check(&ended, 1, &["error: the ring refuses the token: "])?;
    std::fs::write(folder.path().join("empty"), "")?;
    let ended = scrapering(folder.path(), &["job", "list", "--data", "ring", "--token-file", "empty"]).await?;
    check(&ended, 2, &["empty holds no token", "scrapering token create"])?;
    ring.stop().await
}

#[tokio::test]
async fn a_ring_that_does_not_answer_is_told_with_how_to_start_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let get = ["job", "get", "0198c1d2-7f3e-7abc-9def-0123456789ab", "--data", "ring"];
    check(&scrapering(folder.path(), &get).await?, 1, &["error: there is no ring in ring", "scrapering up"])?;
    let ring = Ring::init(folder.path(), 1).await?;
    let gateway = format!("127.0.0.1:{}", ring.ports().gateway());
    let ended = program::run(folder.path(), "get", LIMIT, get).await?;
    check(&ended, 1, &["error: no gateway of the ring answers", &gateway, "scrapering up"])
}

/// Gives `ring-0` a certificate of the ring's own authority that ended in 2021.
fn expire(root: &Path) -> anyhow::Result<()> {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).with_context(|| format!("{name} cannot be read"));
    let authority = rcgen::KeyPair::from_pem(&read("ca.key")?)?;
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.pem")?, authority)?;
    let mut params = rcgen::CertificateParams::new(["ring-0".to_owned(), "localhost".to_owned()])?;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::from_pem(&read("ring-0/tls.key")?)?;
    std::fs::write(root.join("ring-0/tls.pem"), params.signed_by(&key, &issuer)?.pem())?;
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_renewed_where_the_authority_is_and_told_where_it_is_not() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::init(folder.path(), 1).await?;
    expire(&ring.root())?;
    ring.start_all().await?;
    ring.stop().await?;
    expire(&ring.root())?;
    std::fs::remove_file(ring.root().join("ca.key"))?;
    let before = snapshot(&ring.root())?;
    let ended = scrapering(folder.path(), &["node", "--ring-dir", "ring", "--name", "ring-0"]).await?;
    check(&ended, 1, &["error: ", "tls.pem ended at 2021-01-01", "put a new one there", "ca.key"])?;
    ensure!(snapshot(&ring.root())? == before, "the ring's folder has changed");
    Ok(())
}

/// A small disk of its own; dropped, it is taken away again, even while it is in use.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount anything.
    async fn mount(path: PathBuf, size: &str) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(&path)?;
        let size = format!("size={size},mode=700");
        let mount =
            tokio::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        Ok(mount.await.is_ok_and(|output| output.status.success()).then_some(Self(path)))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Fills it to the last byte.
    fn fill(&self) -> anyhow::Result<()> {
        let mut filler = std::fs::File::create(self.filler())?;
        let full = std::io::copy(&mut std::io::repeat(1), &mut filler).err().context("the disk has no end")?;
        ensure!(full.kind() == std::io::ErrorKind::StorageFull, "{full}");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the node on it may not be gone yet.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[allow(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn skipped() -> anyhow::Result<()> {
    eprintln!("SKIPPED, NOTHING WAS TESTED: a full disk needs a tmpfs, and this user may not mount one; run as root");
    Ok(())
}

#[tokio::test]
async fn a_node_on_a_full_disk_does_not_start_and_says_so() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ring = Ring::init(folder.path(), 1).await?;
    let Some(_disk) = Disk::mount(ring.root().join("ring-0/data"), "64k").await? else { return skipped() };
    let ended = scrapering(folder.path(), &["node", "--ring-dir", "ring", "--name", "ring-0"]).await?;
    check(&ended, 1, &["error: ", "disk", "is full", "free"])
}

/// Submits a paused job that takes 128 KiB; its id, or what the ring says instead.
async fn submit(door: &Door) -> anyhow::Result<Result<String, String>> {
    let value = "x".repeat(4096);
    let headers: String = (0..32).map(|number| format!("    - {{name: x-{number}, value: {value}}}\n")).collect();
    let job = format!("{JOB}  suspend: true\n  request:\n    headers:\n{headers}");
    let answer = door.ask(Method::POST, "/v1/jobs", Some(&job)).await?;
    if answer.status != StatusCode::CREATED {
        return Ok(Err(answer.body));
    }
    let job = answer.json()?;
    Ok(Ok(job["metadata"]["uid"].as_str().context("no id")?.to_owned()))
}

#[tokio::test]
async fn a_disk_that_fills_up_stops_writes_in_words_and_loses_nothing_acknowledged() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::init(folder.path(), 1).await?;
    // The store goes on by itself when there is room for all its buffers, 64 MiB.
    let Some(disk) = Disk::mount(ring.root().join("ring-0/data"), "160m").await? else { return skipped() };
    ring.start_all().await?;
    let door = ring.door().clone();
    let mut acknowledged = vec![door.submit(&format!("{JOB}  suspend: true\n")).await?];
    disk.fill()?;
    // The store has set some room aside, and uses that first.
    let refusal = until("a refusal", LIMIT, async || match submit(&door).await? {
        Ok(id) => {
            acknowledged.push(id);
            Ok(None)
        }
        Err(words) => Ok(Some(words)),
    })
    .await?;
    ensure!(refusal.contains("disk") && refusal.contains("full") && refusal.contains("free"), "{refusal}");
    let ready = door.ask(Method::GET, "/readyz", None).await?;
    ensure!(ready.status == StatusCode::SERVICE_UNAVAILABLE && ready.body.contains("full"), "{ready:?}");
    for id in &acknowledged {
        door.job(id).await.context("what was acknowledged is still read")?;
    }
    std::fs::remove_file(disk.filler())?;
    let id = until("a write after there is room again", LIMIT, async || Ok(submit(&door).await?.ok())).await?;
    acknowledged.push(id);
    ring.kill(&[0]).await?;
    ring.start_all().await?;
    for id in &acknowledged {
        ring.door().job(id).await.context("what was acknowledged is there after a restart")?;
    }
    ring.stop().await
}
