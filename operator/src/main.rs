//! `scrapering-operator`: reads the command line, connects to the API server and runs the controllers until told to stop.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use scrapering_operator::ring::{self, Config};
use tracing_subscriber::EnvFilter;

/// Keeps ScrapeRings as they are asked for.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controllers against the cluster of the pod, or of the kubeconfig.
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// Image of the nodes of a ring whose spec names none.
    #[arg(long, env = "SCRAPERING_NODE_IMAGE")]
    node_image: String,
    /// How log lines look; what is logged is chosen by RUST_LOG.
    #[arg(long, env = "SCRAPERING_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run(options) = Cli::parse().command;
    start_logging(options.log_format);
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = %error.root_cause(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Run) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is already installed"))?;
    let client = kube::Client::try_default()
        .await
        .context("no cluster to talk to: run inside a pod with a service account, or set KUBECONFIG")?;
    ring::run(client, Config { node_image: options.node_image }).await;
    tracing::info!("stopped");
    Ok(())
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
