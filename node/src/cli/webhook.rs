//! `scrapering webhook`: what a job's webhooks were sent, and the same once more.

use super::columns::{Cell, FormatArgs, Tone, columns};
use super::connect::ConnectArgs;
use super::failure::Status;
use crate::crawl::deliveries::{Delivery, DeliveryWord};
use clap::{Args, Subcommand};
use scrapering_core::frontier::delivery::DeliveryId;
use scrapering_core::frontier::record::JobId;

/// Arguments of `webhook`.
#[derive(Debug, Args)]
pub(super) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// List the messages to the webhooks of a job, the newest first, and what became of them.
    #[command(after_help = "Example: scrapering webhook deliveries 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Deliveries {
        /// The job's id, as "scrapering job list" shows it.
        #[arg(value_name = "ID")]
        job: JobId,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Send a message once more, from now on, as if it was new.
    #[command(after_help = "Example: scrapering webhook redeliver 0198c1d2-7f3e-7abc-9def-0123456789ab-0-3")]
    Redeliver {
        /// The delivery's id, as "scrapering webhook deliveries" shows it.
        #[arg(value_name = "DELIVERY")]
        id: DeliveryId,
        #[command(flatten)]
        format: FormatArgs,
    },
}

/// Runs the command.
pub(super) async fn webhook(args: WebhookArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        WebhookCommand::Deliveries { job, format } => {
            let deliveries = client.deliveries(job).await?;
            format.print(&deliveries, || table(&deliveries.items))?;
        }
        WebhookCommand::Redeliver { id, format } => {
            let delivery = client.redeliver(id).await?;
            format.print(&delivery, || table(std::slice::from_ref(&delivery)))?;
        }
    }
    Ok(Status::Done)
}

fn table(deliveries: &[Delivery]) -> String {
    let row = |delivery: &Delivery| {
        let (state, tone) = match delivery.state {
            DeliveryWord::Waiting => ("waiting", Tone::Busy),
            DeliveryWord::Delivered => ("delivered", Tone::Good),
            DeliveryWord::GivenUp => ("given up", Tone::Bad),
        };
        let last = delivery.attempts.last();
        let answer = last.map_or_else(String::new, |last| match (last.status, &last.error) {
            (Some(status), _) => format!("status {status}"),
            (None, error) => error.clone().unwrap_or_default(),
        });
        [
            delivery.id.as_str().into(),
            delivery.event.as_str().into(),
            delivery.created_at.as_str().into(),
            Cell::toned(state.to_owned(), tone),
            Cell::figure(delivery.attempts.len()),
            answer.into(),
            delivery.next_attempt_at.clone().unwrap_or_default().into(),
        ]
    };
    let head = ["ID", "EVENT", "CREATED", "STATE", "ATTEMPTS", "LAST ANSWER", "NEXT ATTEMPT"];
    columns(head, &deliveries.iter().map(row).collect::<Vec<_>>())
}
