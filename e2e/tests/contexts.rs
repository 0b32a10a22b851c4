//! The command line against a ring elsewhere: contexts, jobs, items as tables and sealed, answers for programs.

use anyhow::{Context, ensure};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use scrapering_e2e::errand::Errand;
use scrapering_e2e::program::{self, Ended, done};
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(10);
/// How long a command or a short job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

async fn run(folder: &Path, arguments: &[&str]) -> anyhow::Result<Ended> {
    program::run(folder, "command", LIMIT, arguments).await
}

/// A command that must end with `code` and say `words`.
async fn refused(folder: &Path, arguments: &[&str], code: i32, words: &str) -> anyhow::Result<()> {
    let ended = run(folder, arguments).await?;
    ensure!(ended.code() == Some(code) && ended.err.contains(words), "{arguments:?}: {ended:?}");
    Ok(())
}

/// Adds the ring as the context `prod`, through all its gateways.
async fn add_context(folder: &Path, ring: &Ring, name: &str) -> anyhow::Result<()> {
    std::fs::write(folder.join("token"), ring.door().token())?;
    let first = ring.ports().gateway();
    let gateways: Vec<String> = (0..3).map(|node| format!("https://127.0.0.1:{}", first + node)).collect();
    let mut arguments = vec!["context", "add", name, "--ca", "ring/ca.pem", "--token-file", "token"];
    arguments.extend(gateways.iter().flat_map(|gateway| ["--gateway", gateway]));
    done(folder, LIMIT, &arguments).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_elsewhere_is_used_by_its_name_for_all_of_a_jobs_life() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (folder, mut ring) = (folder.path(), Ring::start(folder.path(), 3).await?);
    add_context(folder, &ring, "prod").await?;
    let errand = Errand::begin(folder, 30, DELAY).await?;
    std::fs::write(folder.join("job.yaml"), errand.job(""))?;
    let id = done(folder, LIMIT, &["job", "submit", "job.yaml"]).await?.trim().to_owned();
    let watched = run(folder, &["job", "watch", &id]).await?;
    ensure!(watched.code() == Some(0) && watched.err.contains("Completed"), "{watched:?}");
    let listed: Value = serde_json::from_str(&done(folder, LIMIT, &["job", "list", "--output", "json"]).await?)?;
    ensure!(listed["items"][0]["metadata"]["uid"] == id.as_str(), "{listed}");
    let shown = done(folder, LIMIT, &["job", "get", &id, "--output", "yaml"]).await?;
    ensure!(shown.contains("phase: Completed"), "{shown}");
    let status = done(folder, LIMIT, &["ring", "status", "--context", "prod"]).await?;
    ensure!(status.contains("ring-2") && !status.contains('\u{1b}'), "{status}");
    sheet_and_seal(folder, &id, &errand).await?;
    done(folder, LIMIT, &["job", "delete", &id]).await?;
    // Without the context, commands look for a local ring again, and there is none.
    done(folder, LIMIT, &["context", "use", "local"]).await?;
    refused(folder, &["job", "list"], 1, "there is no ring in").await?;
    done(folder, LIMIT, &["context", "delete", "prod"]).await?;
    refused(folder, &["job", "list", "--context", "prod"], 2, "there is no context prod; there are local").await?;
    ring.stop().await
}

async fn sheet_and_seal(folder: &Path, id: &str, errand: &Errand) -> anyhow::Result<()> {
    done(folder, LIMIT, &["items", id, "--format", "csv", "--output", "items.csv"]).await?;
    let sheet = std::fs::read_to_string(folder.join("items.csv"))?;
    let head = sheet.lines().next().context("no line")?;
    ensure!(head.starts_with("_type,title,price,_url"), "{head}");
    ensure!(sheet.lines().count() == errand.products() + 1, "{} lines", sheet.lines().count());
    let recipient = done(folder, LIMIT, &["keygen", "--output", "key.txt"]).await?.trim().to_owned();
    done(folder, LIMIT, &["items", id, "--output", "items.age", "--encrypt-to", &recipient]).await?;
    let sealed = std::fs::read(folder.join("items.age"))?;
    ensure!(!sealed.windows(7).any(|window| window == b"\"title\""), "the file can be read without a key");
    done(folder, LIMIT, &["decrypt", "items.age", "--identity", "key.txt", "--output", "items.jsonl"]).await?;
    let opened = std::fs::read_to_string(folder.join("items.jsonl"))?;
    let items: Vec<Value> = opened.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    errand.check_items(&items)?;
    tables(folder, id, &recipient, &items).await
}

/// The items as Parquet, open and sealed: the same rows either way, and never on a terminal or over another file.
async fn tables(folder: &Path, id: &str, recipient: &str, items: &[Value]) -> anyhow::Result<()> {
    let parquet = ["items", id, "--format", "parquet"];
    refused(folder, &parquet, 2, "needs a name; give it with --output FILE").await?;
    refused(folder, &[&parquet[..], &["--output", "-"]].concat(), 2, "needs a name").await?;
    done(folder, LIMIT, &[&parquet[..], &["--output", "items.parquet"]].concat()).await?;
    refused(folder, &[&parquet[..], &["--output", "items.parquet"]].concat(), 2, "is there already").await?;
    done(folder, LIMIT, &[&parquet[..], &["--output", "table.age", "--encrypt-to", recipient]].concat()).await?;
    done(folder, LIMIT, &["decrypt", "table.age", "--identity", "key.txt", "--output", "opened.parquet"]).await?;
    let mut expected: Vec<&str> = items.iter().filter_map(|item| item["title"].as_str()).collect();
    expected.sort_unstable();
    for name in ["items.parquet", "opened.parquet"] {
        let reader = SerializedFileReader::new(std::fs::File::open(folder.join(name))?)?;
        let rows = reader.get_row_iter(None)?.collect::<Result<Vec<_>, _>>()?;
        let first: Vec<&String> = rows[0].get_column_iter().map(|(column, _)| column).take(4).collect();
        ensure!(first == ["_type", "title", "price", "_url"], "{first:?}");
        let mut titles = rows.iter().map(|row| Ok(row.get_string(1)?.as_str())).collect::<anyhow::Result<Vec<_>>>()?;
        titles.sort_unstable();
        ensure!(titles == expected, "{name}: {titles:?}");
        ensure!(rows.iter().all(|row| row.get_double(2).is_ok()), "a price is no number in {name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_prove_to_be_the_ring_becomes_no_context() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (folder, mut ring) = (folder.path(), Ring::start(folder.path(), 3).await?);
    let other = tempfile::tempdir()?;
    Ring::init(other.path(), 1).await?;
    std::fs::copy(other.path().join("ring/ca.pem"), folder.join("other.pem"))?;
    std::fs::write(folder.join("token"), ring.door().token())?;
    let gateway = format!("https://127.0.0.1:{}", ring.ports().gateway());
    let add = |ca: &'static str| {
        let gateway = gateway.clone();
        async move {
            let arguments = ["context", "add", "prod", "--gateway", &gateway, "--ca", ca, "--token-file", "token"];
            run(folder, &arguments).await
        }
    };
    let ended = add("other.pem").await?;
    ensure!(ended.code() == Some(1) && ended.err.contains("is not trusted"), "{ended:?}");
    let listed = done(folder, LIMIT, &["context", "list", "--output", "json"]).await?;
    ensure!(listed.trim() == "[]", "{listed}");
    ensure!(add("ring/ca.pem").await?.code() == Some(0));
    let again = add("ring/ca.pem").await?;
    ensure!(again.code() == Some(2) && again.err.contains("already"), "{again:?}");
    ring.stop().await
}
