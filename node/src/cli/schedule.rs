//! `scrapering schedule`: make, see and steer schedules that the ring keeps.

use super::client::Client;
use super::columns::{Cell, FormatArgs, Tone, columns};
use super::connect::ConnectArgs;
use super::document::Document;
use super::failure::Status;
use super::job::table as jobs;
use super::terms::print;
use crate::gateway::ScheduleObject;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use uuid::Uuid;

/// Arguments of `schedule`.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    #[command(subcommand)]
    command: ScheduleCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Make a schedule: from now on the ring makes a job at each of its times.
    #[command(after_help = "Example: scrapering schedule create nightly.yaml\n         \
        cat nightly.yaml | scrapering schedule create -")]
    Create {
        /// The schedule, YAML or JSON; "-" reads it from standard input.
        #[arg(value_name = "SCHEDULE.yaml")]
        file: PathBuf,
    },
    /// List every schedule of the ring, by name.
    #[command(after_help = "Example: scrapering schedule list --output json")]
    List(FormatArgs),
    /// Show a schedule and the jobs that it made.
    #[command(after_help = "Example: scrapering schedule get nightly\n         \
        scrapering schedule get nightly --output yaml")]
    Get {
        #[command(flatten)]
        schedule: OneSchedule,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Make no further jobs until it is resumed; those that run go on.
    #[command(after_help = "Example: scrapering schedule suspend nightly")]
    Suspend(OneSchedule),
    /// Make jobs again; the last time that was missed is made up for, unless startingDeadlineSeconds says otherwise.
    #[command(after_help = "Example: scrapering schedule resume nightly")]
    Resume(OneSchedule),
    /// Make a job now and print its id, whatever the times say, and also if the schedule is suspended.
    #[command(after_help = "Example: scrapering schedule trigger nightly\n         \
        scrapering job watch $(scrapering schedule trigger nightly)")]
    Trigger(OneSchedule),
    /// Delete a schedule. The jobs that it made stay, with their results; those that run go on.
    #[command(after_help = "Example: scrapering schedule delete nightly")]
    Delete(OneSchedule),
}

/// Which schedule.
#[derive(Debug, Args)]
struct OneSchedule {
    /// The schedule's name.
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs the command.
pub(super) async fn schedule(args: ScheduleArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        ScheduleCommand::Create { file } => {
            let document = Document::read_schedule(&file)?;
            let made = client.make_schedule(document.text.as_bytes()).await;
            print(table(&[made.map_err(|error| document.refused(error))?]))?;
        }
        ScheduleCommand::List(format) => {
            let all = client.schedules().await?;
            format.print(&all, || table(&all.items))?;
        }
        ScheduleCommand::Get { schedule: OneSchedule { name }, format } => get(&client, &name, &format).await?,
        ScheduleCommand::Suspend(OneSchedule { name }) => print(table(&[client.hold(&name, true).await?]))?,
        ScheduleCommand::Resume(OneSchedule { name }) => print(table(&[client.hold(&name, false).await?]))?,
        ScheduleCommand::Trigger(OneSchedule { name }) => {
            let job = client.trigger(&name, &Uuid::new_v4().to_string()).await?;
            print(format!("{}\n", job.metadata.uid))?;
        }
        ScheduleCommand::Delete(OneSchedule { name }) => {
            client.delete_schedule(&name).await?;
            print(format!("The schedule {name} is deleted; its jobs stay.\n"))?;
        }
    }
    Ok(Status::Done)
}

async fn get(client: &Client, name: &str, format: &FormatArgs) -> anyhow::Result<()> {
    let schedule = client.schedule(name).await?;
    let runs = client.runs(name).await?;
    format.print(&schedule, || {
        let runs = if runs.items.is_empty() { String::new() } else { format!("\n{}", jobs(&runs.items)) };
        table(std::slice::from_ref(&schedule)) + &runs
    })
}

fn table(schedules: &[ScheduleObject]) -> String {
    let row = |schedule: &ScheduleObject| {
        let (spec, status) = (&schedule.spec, &schedule.status);
        let suspended = spec["suspend"] == true;
        let time = |time: &Option<String>| Cell::from(time.as_deref().unwrap_or("-"));
        [
            schedule.metadata.name.as_str().into(),
            spec["schedule"].as_str().unwrap_or_default().into(),
            spec["timeZone"].as_str().unwrap_or("UTC").into(),
            Cell::toned(if suspended { "yes" } else { "no" }, if suspended { Tone::Busy } else { Tone::Plain }),
            Cell::figure(status.active.len()),
            time(&status.last_schedule_time),
            time(&status.next_schedule_time),
        ]
    };
    let rows: Vec<_> = schedules.iter().map(row).collect();
    columns(["NAME", "SCHEDULE", "TIME ZONE", "SUSPENDED", "ACTIVE", "LAST", "NEXT"], &rows)
}
