//! Files through the command line: a file larger than several chunks goes in and comes out, also while nodes die.

use anyhow::{Context, ensure};
use scrapering_e2e::door::until;
use scrapering_e2e::program::{self, Ended, Process, done};
use scrapering_e2e::ring::Ring;
use std::path::Path;
use std::time::Duration;

/// Nine chunks, the last one short.
const BYTES: usize = 8 * 4 * 1024 * 1024 + 77_777;
/// How long a command may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// No chunk is like another.
fn content() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    next.flatten().take(BYTES).collect()
}

async fn run(folder: &Path, arguments: &[&str]) -> anyhow::Result<Ended> {
    program::run(folder, "command", LIMIT, arguments).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_kept_whole_while_two_of_five_nodes_die() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let mut ring = Ring::start(folder, 5).await?;
    let content = content();
    std::fs::write(folder.join("backup.bin"), &content)?;
    let version = done(folder, LIMIT, &["file", "put", "backup.bin", "backups/monday", "--data", "ring"]).await?;
    ensure!(version.trim() == "1", "{version}");
    let listed = done(folder, LIMIT, &["file", "list", "backups/", "--data", "ring"]).await?;
    ensure!(listed.contains(&BYTES.to_string()) && listed.contains("backups/monday"), "{listed}");
    // The reader has begun when its unfinished file has something in it; then two nodes die, one of them its own gateway.
    let mut reader =
        Process::start(folder, "get", ["file", "get", "backups/monday", "--output", "first.bin", "--data", "ring"])?;
    let begun = until("the first bytes", LIMIT, async || {
        let length = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |found| found.len());
        Ok((length("first.bin.part") > 0 || length("first.bin") > 0).then_some(()))
    });
    begun.await?;
    ring.kill(&[0, 3]).await?;
    let ended = reader.ended(LIMIT).await?;
    ensure!(ended.code() == Some(0), "{ended:?}");
    ensure!(std::fs::read(folder.join("first.bin"))? == content, "what was read is not what was put");
    ensure!(!folder.join("first.bin.part").exists(), "the unfinished file stays");
    // With two nodes dead everything goes on: reading anew, replacing in the version that is known, removing.
    done(folder, LIMIT, &["file", "get", "backups/monday", "--output", "second.bin", "--data", "ring"]).await?;
    ensure!(std::fs::read(folder.join("second.bin"))? == content, "what was read later is not what was put");
    let stale =
        run(folder, &["file", "put", "ring/ca.pem", "backups/monday", "--version", "7", "--data", "ring"]).await?;
    ensure!(stale.code() != Some(0) && stale.err.contains("version"), "{stale:?}");
    done(folder, LIMIT, &["file", "put", "ring/ca.pem", "backups/monday", "--version", "1", "--data", "ring"]).await?;
    let replaced = done(folder, LIMIT, &["file", "get", "backups/monday", "--data", "ring"]).await?;
    ensure!(replaced == std::fs::read_to_string(folder.join("ring/ca.pem"))?, "{replaced}");
    done(folder, LIMIT, &["file", "delete", "backups/monday", "--data", "ring"]).await?;
    let gone = run(folder, &["file", "get", "backups/monday", "--data", "ring"]).await?;
    ensure!(gone.code() == Some(1) && gone.err.contains("there is no file backups/monday"), "{gone:?}");
    ring.start_all().await.context("the dead come back")?;
    ring.stop().await
}
