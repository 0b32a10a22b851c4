//! `scrapering job frontier` and `scrapering job exclusions`: what a job still has before it, and what it leaves out.

use crate::cli::client::Client;
use crate::cli::terms::print;
use clap::Args;
use scrapering_core::frontier::record::JobId;

/// Which URLs of the frontier.
#[derive(Debug, Args)]
pub(super) struct FrontierArgs {
    /// Only URLs of this host, with its port unless that is the scheme's own.
    #[arg(long)]
    host: Option<String>,
    /// Only URLs in which this regular expression is found.
    #[arg(long, value_name = "REGEX")]
    pattern: Option<String>,
}

/// A change of what is left out.
#[derive(Debug, Args)]
pub(super) struct ExclusionArgs {
    /// Leave out what matches this regular expression from now on; what waits is skipped.
    #[arg(long, value_name = "REGEX")]
    add: Option<String>,
    /// Take a pattern back; what was skipped for it stays skipped.
    #[arg(long, value_name = "REGEX", conflicts_with = "add")]
    remove: Option<String>,
}

/// Prints what waits as JSON lines.
pub(super) async fn frontier(client: &Client, id: JobId, args: &FrontierArgs) -> anyhow::Result<()> {
    let mut cursor = None;
    loop {
        let page = client.waiting(id, args.host.as_deref(), args.pattern.as_deref(), cursor.as_deref()).await?;
        for url in &page.items {
            print(serde_json::to_string(url)? + "\n")?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Changes what is left out if that is asked for, and prints all of it.
pub(super) async fn exclusions(client: &Client, id: JobId, args: &ExclusionArgs) -> anyhow::Result<()> {
    let all = match (&args.add, &args.remove) {
        (Some(pattern), _) => client.exclude(id, pattern).await?,
        (None, Some(pattern)) => client.include(id, pattern).await?,
        (None, None) => client.exclusions(id).await?,
    };
    print(all.items.iter().map(|pattern| format!("{pattern}\n")).collect::<String>())?;
    Ok(())
}
