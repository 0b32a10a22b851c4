//! What is on the disks of a ring can be read by nobody who has only the disks.

use anyhow::{Context, ensure};
use scrapering_e2e::errand::{Errand, Reader, title};
use scrapering_e2e::ring::Ring;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
/// Deepest folder below a node's data.
const MAX_DEPTH: usize = 8;

/// Every file below `folder`.
fn files(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    ensure!(depth > 0, "{} is too deep", folder.display());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, depth - 1, found)? } else { found.push(path) }
    }
    Ok(())
}

/// Files that hold `word` in clear.
fn holders(files: &[PathBuf], word: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut holders = Vec::new();
    for path in files {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            holders.push(path.clone());
        }
    }
    Ok(holders)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_written_through_the_api_is_nowhere_in_the_data_folders_in_clear() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let errand = Errand::begin(folder.path(), 12, Duration::ZERO).await?;
    let job = errand
        .job(
            "  request:
    userAgent: \"canary-in-agent/1.0 (+https://example.org/bot)\"
    headers: [{name: x-test, value: canary-in-header}]
",
        )
        .replace("/\"}]\n  extract", "/?canary-in-path\"}]\n  extract")
        .replace(
            "required: true}\n  politeness",
            "required: true}\n    - {name: mark, selector: .none, default: canary-in-item}\n  politeness",
        );
    let id = ring.door().submit(&job).await?;
    let mut reader = Reader::new(&id);
    reader.read_to_the_end(ring.door(), LIMIT).await?;
    errand.check_items(&reader.items)?;
    ensure!(reader.items.iter().all(|item| item.to_string().contains("canary-in-item")), "{:?}", reader.items);
    let requests = errand.requests()?;
    ensure!(requests.iter().any(|record| record.path == "/?canary-in-path"), "the seed was not visited");
    ensure!(requests.iter().all(|record| record.agent.starts_with("canary-in-agent")), "another agent came");
    ring.stop().await?;
    let mut found = Vec::new();
    for node in 0..5 {
        files(&ring.root().join(format!("ring-{node}/data")), MAX_DEPTH, &mut found)?;
    }
    // The names of nodes stand in clear: who looks for them finds them, or does not look where the ring writes.
    ensure!(!holders(&found, "ring-3")?.is_empty(), "the search does not see the data folders: {found:?}");
    let name = title(&reader.items[0])?;
    for word in ["canary-in-agent", "canary-in-header", "canary-in-path", "canary-in-item", name] {
        let holders = holders(&found, word)?;
        ensure!(holders.is_empty(), "{word:?} stands in clear in {holders:?}");
    }
    Ok(())
}
