//! `scrapering prestop`: asks the node of this machine to make way, and waits until it may be stopped.

use super::failure::Status;
use super::terms;
use crate::app::local_door::PRESTOP_PATH;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `prestop`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering prestop --local-socket /tmp/node.sock --within 50s && kill \"$NODE_PID\"\n\n\
                  The node ends its work, tells the others, and waits until they have taken over and clients go elsewhere;\n\
                  one that leaves its ring hands over first. In a pod the kubelet runs this before it sends SIGTERM.\n\
                  There is no way back: a node that has made way and is not stopped ends by itself after half a minute."
)]
pub(super) struct PrestopArgs {
    /// The socket that the node was given as --local-socket.
    #[arg(long, value_name = "FILE", env = "LOCAL_SOCKET")]
    local_socket: PathBuf,
    /// How long to wait for the node, such as 50s or 10m.
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = terms::span)]
    within: Duration,
}

/// Runs the command.
pub(super) async fn prestop(args: PrestopArgs) -> anyhow::Result<Status> {
    let socket = args.local_socket.display();
    let http = reqwest::Client::builder().unix_socket(args.local_socket.as_path()).no_proxy().build()?;
    let asked = async {
        let answer = http.post(format!("http://node{PRESTOP_PATH}")).send().await?;
        answer.error_for_status()?.text().await
    };
    let told = tokio::time::timeout(args.within, asked)
        .await
        .with_context(|| {
            format!("the node has not made way within {} s; its log says how far it is", args.within.as_secs())
        })?
        .with_context(|| format!("no node answers on {socket}; it may have ended, or another user may own it"))?;
    terms::print(told)?;
    Ok(Status::Done)
}
