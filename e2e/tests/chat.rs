//! The chat of `examples/chat`: people in a room go on talking when the two nodes they are connected to die.

use anyhow::Context;
use scrapering_e2e::door::until;
use scrapering_e2e::ring::Ring;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

/// How long a word may take on a busy machine, over the death of two nodes.
const LIMIT: Duration = Duration::from_secs(90);

/// Somebody in a room.
struct Guest {
    _process: Child,
    says: ChildStdin,
    hears: PathBuf,
}

impl Guest {
    /// Enters the room through the gateways in this order; `None` if there is no Python.
    fn enter(folder: &Path, name: &str, gateways: &[String]) -> anyhow::Result<Option<Self>> {
        let hears = folder.join(name);
        let out = File::create(&hears)?;
        let mut command = Command::new("python3");
        // Tests run in the folder of their crate.
        command.args(["../examples/chat/chat.py", "garden"]).env("RING", gateways.join(" "));
        command.env("CA", folder.join("ring/ca.pem")).env("TOKEN_FILE", folder.join("token"));
        command.stdin(Stdio::piped()).stderr(out.try_clone()?).stdout(out).kill_on_drop(true);
        let mut process = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            started => started.context("the chat cannot be started")?,
        };
        let says = process.stdin.take().context("it has no input")?;
        Ok(Some(Self { _process: process, says, hears }))
    }

    async fn say(&mut self, words: &str) -> anyhow::Result<()> {
        Ok(self.says.write_all(format!("{words}\n").as_bytes()).await?)
    }

    async fn hear(&self, words: &str) -> anyhow::Result<()> {
        let heard = || std::fs::read_to_string(&self.hears).unwrap_or_default();
        let waited = until(words, LIMIT, async || Ok(heard().contains(&format!(": {words}\n")).then_some(()))).await;
        waited.with_context(|| format!("only this was heard:\n{}", heard()))
    }
}

#[allow(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn skipped() -> anyhow::Result<()> {
    eprintln!("SKIPPED, NOTHING WAS TESTED: the chat needs python3");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_survives_the_two_nodes_that_its_guests_are_connected_to() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    std::fs::write(folder.path().join("token"), ring.door().token())?;
    let first = ring.ports().gateway();
    let gateway = |node: u16| format!("https://127.0.0.1:{}", first + node);
    let (to_ada, to_bob) = ([gateway(3), gateway(0), gateway(1)], [gateway(4), gateway(1), gateway(2)]);
    let Some(mut ada) = Guest::enter(folder.path(), "ada", &to_ada)? else { return skipped() };
    let Some(mut bob) = Guest::enter(folder.path(), "bob", &to_bob)? else { return skipped() };
    ada.say("is anybody here?").await?;
    bob.hear("is anybody here?").await?;
    bob.say("I am").await?;
    ada.hear("I am").await?;
    ring.kill(&[3, 4]).await?;
    ada.say("and now?").await?;
    bob.hear("and now?").await?;
    bob.say("still").await?;
    ada.hear("still").await?;
    // Who comes later hears what was said before.
    let Some(late) = Guest::enter(folder.path(), "late", &[gateway(2)])? else { return skipped() };
    late.hear("is anybody here?").await?;
    late.hear("still").await
}
