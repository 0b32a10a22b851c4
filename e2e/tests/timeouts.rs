//! The times of a request as a job sets them: a site that connects and keeps silent, and one that does not even finish its handshake.
//!
//! A ring of one in a process of its own visits both, and says of each what did not come in time.

use anyhow::ensure;
use scrapering_e2e::ports::Ports;
use scrapering_e2e::program;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// How long the command may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A port that takes every connection and never says a word.
async fn silent() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
        }
    });
    Ok(port)
}

#[tokio::test]
async fn a_job_says_how_long_a_connection_and_how_long_an_answer_may_take() -> anyhow::Result<()> {
    let (folder, ports) = (tempfile::tempdir()?, Ports::take()?.options());
    let (plain, secure) = (silent().await?, silent().await?);
    let job = format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: silence}}
spec:
  seeds:
  - {{url: 'http://127.0.0.1:{plain}/'}}
  - {{url: 'https://127.0.0.1:{secure}/'}}
  politeness: {{delay: 0s, robots: {{obey: false}}}}
  request: {{timeouts: {{connect: 400ms, firstByte: 500ms, total: 10m}}}}
  retry: {{maxRetries: 0}}
"
    );
    std::fs::write(folder.path().join("job.yaml"), job)?;
    let mut arguments = vec!["run", "job.yaml", "--data", "ring", "--nodes", "1", "--output", "items.jsonl"];
    arguments.extend(["--allow-private-cidr", "127.0.0.0/8"]);
    arguments.extend(ports.iter().map(String::as_str));
    let ended = program::run(folder.path(), "run", LIMIT, &arguments).await?;
    ensure!(ended.code() == Some(1), "not one page could be fetched: {ended:#?}");
    for words in [
        format!("http://127.0.0.1:{plain}/: fetchError (timed out: no answer within request.timeouts.firstByte)"),
        format!("https://127.0.0.1:{secure}/: fetchError (timed out: no connection within request.timeouts.connect)"),
    ] {
        ensure!(ended.err.contains(&words), "the summary says {words:?}: {}", ended.err);
    }
    Ok(())
}
