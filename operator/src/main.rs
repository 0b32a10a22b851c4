//! `scrapering-operator`: reads the command line, connects to the API server and runs the controllers until told to stop, or does
//! the one thing that it was asked for.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use scrapering_operator::leader::{self, Lease};
use scrapering_operator::metrics::Metrics;
use scrapering_operator::ring::certificates::Terms;
use scrapering_operator::ring::validate::{Defaults, OperatorPods};
use scrapering_operator::token::SCOPES;
use scrapering_operator::{check, doors, job, ring, schedule, token};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
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
    /// Ask an operator that runs elsewhere whether it is well; fails unless it answers so.
    Check {
        /// Where to ask, such as http://scrapering-metrics.scrapering.svc:8080/readyz.
        url: String,
    },
    /// Print a token for a ring's gateway, signed with the ring's own key.
    #[command(after_help = "Example: kubectl --namespace scrapering exec deployment/scrapering -- \\\n    \
        scrapering-operator token main --namespace default --scope jobs:read --scope results:read")]
    Token(Token),
}

#[derive(clap::Args)]
struct Token {
    /// Name of the ring.
    ring: String,
    /// Namespace of the ring.
    #[arg(long)]
    namespace: String,
    /// What the token allows; may be repeated.
    #[arg(long = "scope", required = true, value_parser = SCOPES)]
    scopes: Vec<String>,
    /// How many hours it is good for, 1 to 720.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=720))]
    hours: u16,
}

#[derive(clap::Args)]
struct Run {
    /// Image of the nodes of a ring whose spec names none.
    #[arg(long, env = "SCRAPERING_NODE_IMAGE")]
    node_image: String,
    /// The namespaces that are looked after, separated by commas; none means all.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// The namespace of the operator's own pod; its lease is there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// The name of the operator's own pod: how it is called in the lease.
    #[arg(long, env = "POD_NAME", default_value = "scrapering-operator")]
    name: String,
    /// Name of the lease that operators of one installation share.
    #[arg(long, env = "LEASE_NAME", default_value = "scrapering-operator")]
    lease_name: String,
    /// Value of the label app.kubernetes.io/component of the operator's own pods; the nodes let them in by it.
    #[arg(long, env = "POD_COMPONENT", default_value = "operator")]
    component: String,
    /// Where health and metrics are served.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "[::]:8080")]
    health_address: SocketAddr,
    /// Days that a ring's certificate authority lives; it is made anew after two thirds of them, without a restart.
    #[arg(long, env = "CA_DAYS", default_value_t = 3653, value_parser = clap::value_parser!(u16).range(1..))]
    ca_days: u16,
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
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing ran before, so nobody was first");
    let done = match Cli::parse().command {
        Command::Run(options) => {
            start_logging(options.log_format);
            run(options).await
        }
        Command::Check { url } => {
            start_logging(LogFormat::Text);
            check::check(&url).await.map_err(Into::into)
        }
        Command::Token(asked) => {
            start_logging(LogFormat::Text);
            print_token(asked).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = %error.root_cause(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn print_token(asked: Token) -> anyhow::Result<()> {
    let life = Duration::from_secs(u64::from(asked.hours) * 3600);
    let token = token::token(connect().await?, &asked.namespace, &asked.ring, &asked.scopes, life).await?;
    writeln!(std::io::stdout(), "{token}").context("the token cannot be written")
}

async fn connect() -> anyhow::Result<kube::Client> {
    kube::Client::try_default()
        .await
        .context("no cluster to talk to: run inside a pod with a service account, or set KUBECONFIG")
}

async fn run(options: Run) -> anyhow::Result<()> {
    let client = connect().await?;
    let (stop, metrics) = (stop_on_signals()?, Metrics::default());
    let (is_leader, leads) = watch::channel(false);
    let lease = Lease { name: options.lease_name, namespace: options.namespace.clone(), holder: options.name };
    let config = ring::Config {
        defaults: Defaults {
            image: options.node_image,
            operator: Some(OperatorPods { namespace: options.namespace, component: options.component }),
        },
        terms: Terms { authority_s: i64::from(options.ca_days) * 86_400, ..Terms::default() },
        namespaces: options.watch_namespaces.into_iter().filter(|namespace| !namespace.is_empty()).collect(),
    };
    let served = doors::serve(options.health_address, metrics.clone(), leads, stop.clone());
    let namespaces = config.namespaces.clone();
    let work = async {
        tokio::join!(
            ring::run(client.clone(), config, metrics.clone(), stop.clone()),
            job::run(client.clone(), &namespaces, metrics.clone(), stop.clone()),
            schedule::run(client.clone(), &namespaces, metrics, stop.clone()),
        );
    };
    let led = async {
        let led = leader::lead(client.clone(), &lease, &stop, is_leader, work).await;
        stop.cancel();
        led
    };
    let (served, led) = tokio::join!(served, led);
    led?;
    served.with_context(|| format!("health and metrics cannot be served at {}", options.health_address))?;
    tracing::info!("stopped");
    Ok(())
}

/// Cancelled at SIGTERM (how the kubelet ends a pod) or Ctrl-C.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
