//! `scrapering items`: the items of a job, once or as they come, as lines or as a table, open or sealed.

use super::client::{Client, Piece};
use super::connect::ConnectArgs;
use super::failure::{BadInput, Status};
use super::output::Output;
use super::sealed::{self, SealedFile};
use super::sheet::Sheet;
use super::signals::Signals;
use crate::gateway::object::JobObject;
use age::x25519::Recipient;
use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use scrapering_core::frontier::record::JobId;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pause after a look that found nothing new.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `items`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --output items.jsonl --follow\n         \
    scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --format csv --output items.csv\n         \
    scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --output items.age --encrypt-to age1...\n\n\
    With --output, a second run goes on where the first one ended (see the file's .cursor). An encrypted file cannot be\n\
    gone on with: it appears when it is whole."
)]
pub(super) struct ItemsArgs {
    /// The job's id, as "scrapering job list" shows it.
    #[arg(value_name = "ID")]
    id: JobId,
    /// File for the items [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object a line, or a table with the fields of the job as columns.
    #[arg(long, value_enum, default_value_t = ItemsFormat::Ndjson, value_name = "FORMAT")]
    format: ItemsFormat,
    /// Encrypt to this recipient (age1..., see "scrapering keygen") before anything is written; may be repeated.
    #[arg(long, value_name = "RECIPIENT", requires = "output", value_parser = sealed::recipient)]
    encrypt_to: Vec<Recipient>,
    /// Wait for more until the job has ended.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ItemsFormat {
    /// Newline-delimited JSON.
    Ndjson,
    /// CSV after RFC 4180, with a line of names.
    Csv,
}

/// Runs the command.
pub(super) async fn items(args: ItemsArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    // An empty or absent file begins; one with a mark goes on; anything else is not ours to write over.
    let mut target = Target::open(&args)?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let job = tokio::select! {
        biased;
        status = signals.next() => return Ok(status),
        job = client.job(args.id) => job?,
    };
    let bar = bar(args.output.is_some());
    let written = tokio::select! {
        biased;
        status = signals.next() => Ok(Some(status)),
        written = write(&client, &job, &args, &mut target, &bar) => written.map(|()| None),
    };
    bar.finish_and_clear();
    match written? {
        None => Ok(Status::Done),
        Some(status) => {
            if args.encrypt_to.is_empty() {
                return Ok(status);
            }
            eprintln!("Nothing is left of the unfinished file; the same command begins again.");
            Ok(status)
        }
    }
}

/// Writes until nothing follows, or nothing more is there and nobody wants to wait. May be dropped at any wait.
async fn write(
    client: &Client,
    job: &JobObject,
    args: &ItemsArgs,
    target: &mut Target,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let sheet = (args.format == ItemsFormat::Csv).then(|| Sheet::of(job));
    let mut cursor = target.begin(job.metadata.uid)?;
    let mut head = sheet.as_ref().filter(|_| cursor.is_empty()).map(Sheet::head);
    loop {
        let piece = client.piece(args.id, "items", &cursor).await?;
        bar.inc(piece.lines.iter().filter(|byte| **byte == b'\n').count() as u64);
        let ended = piece.complete || piece.lines.is_empty() && !args.follow;
        let mut bytes =
            head.take_if(|_| piece.complete || !piece.lines.is_empty()).map(String::into_bytes).unwrap_or_default();
        match &sheet {
            None => bytes.extend_from_slice(&piece.lines),
            Some(sheet) => bytes.extend(sheet.rows(&piece.lines)?),
        }
        if !bytes.is_empty() {
            target.append(args.id, &bytes, &piece)?;
        }
        if ended {
            return end(args, target, &piece);
        }
        if piece.lines.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        cursor = piece.cursor;
    }
}

fn end(args: &ItemsArgs, target: &mut Target, last: &Piece) -> anyhow::Result<()> {
    target.end(last.complete)?;
    if !last.complete {
        let how = match (&args.output, args.encrypt_to.is_empty()) {
            (Some(_), true) => "the same command again goes on",
            (None, _) => "with --follow they are waited for",
            (Some(_), false) => "they are in no file yet; with --follow they are waited for",
        };
        eprintln!("The job has not ended; more items may come: {how}.");
    }
    Ok(())
}

/// Where items go.
enum Target {
    /// As they are; a file can be gone on with.
    Open(Output),
    /// Encrypted.
    Sealed(Box<SealedFile>),
}

impl Target {
    fn open(args: &ItemsArgs) -> anyhow::Result<Self> {
        match args.output.as_deref() {
            Some(path) if !args.encrypt_to.is_empty() => {
                if path == Path::new("-") {
                    return Err(BadInput::one("an encrypted file needs a name; give it with --output FILE"));
                }
                Ok(Self::Sealed(Box::new(SealedFile::create(path, &args.encrypt_to)?)))
            }
            path => Ok(Self::Open(Output::open(path, Some(args.id))?)),
        }
    }

    /// The cursor to begin from.
    fn begin(&mut self, job: JobId) -> anyhow::Result<String> {
        match self {
            Self::Open(output) => output.begin(job),
            Self::Sealed(_) => Ok(String::new()),
        }
    }

    fn append(&mut self, job: JobId, bytes: &[u8], piece: &Piece) -> anyhow::Result<()> {
        match self {
            Self::Open(output) => output.append(job, bytes, &piece.cursor),
            Self::Sealed(file) => file.append(bytes),
        }
    }

    /// Nothing more is written now; `complete` says that nothing ever follows.
    fn end(&mut self, complete: bool) -> anyhow::Result<()> {
        match self {
            Self::Open(output) if complete => output.finish(),
            Self::Open(_) => Ok(()),
            Self::Sealed(file) => file.finish(),
        }
    }
}

/// Counts items on the terminal, unless they are written to it themselves.
fn bar(into_a_file: bool) -> ProgressBar {
    let target = match into_a_file && std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{spinner} {human_pos} items, {per_sec}");
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(style.expect("the template is fixed and correct"));
    bar
}
