//! Messages to a job's webhooks: what is told next, and when a message that was not taken is sent again.
//!
//! Each webhook of a job is told things in order, one message at a time. A message is a register in the job's
//! partition, written before it is sent for the first time and after every attempt, so that whoever takes the
//! partition over sends the same bytes under the same name. What comes next follows from the newest message and the
//! job's own record: there is nothing else to keep.

use super::record::JobId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Messages of one webhook that stay in its log when they are settled.
pub const KEPT_DELIVERIES: usize = 50;
/// Attempts before a message is given up; the pauses between them add up to about nine hours.
pub const MOST_ATTEMPTS: u32 = 20;
/// Attempts that a message remembers.
const REMEMBERED_ATTEMPTS: usize = 25;
/// Pause after the first attempt, doubled after each, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Part of a pause that the dice decide.
const JITTER: f64 = 0.2;

/// A message: which webhook of which job, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The job.
    pub job: JobId,
    /// Place of the webhook in the job's list.
    pub hook: u16,
    /// Counts from 0.
    pub number: u32,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.job, self.hook, self.number)
    }
}

/// Text that names no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delivery's id is a job's id and two numbers, such as 0198c1d2-7f3e-7abc-9def-0123456789ab-0-3")]
pub struct DeliveryIdError;

impl FromStr for DeliveryId {
    type Err = DeliveryIdError;

    fn from_str(text: &str) -> Result<Self, DeliveryIdError> {
        let read = |text: &str| {
            let (rest, number) = text.rsplit_once('-')?;
            let (job, hook) = rest.rsplit_once('-')?;
            Some(Self { job: job.parse().ok()?, hook: hook.parse().ok()?, number: number.parse().ok()? })
        };
        read(text).ok_or(DeliveryIdError)
    }
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeliveryEvent {
    /// The job's first page may be fetched now.
    Started,
    /// Pages were fetched.
    Page,
    /// The job ended, and did not fail.
    Completed,
    /// The job ended without one page.
    Failed,
}

impl DeliveryEvent {
    /// The `type` in the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "job.started",
            Self::Page => "job.page",
            Self::Completed => "job.completed",
            Self::Failed => "job.failed",
        }
    }

    const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// What it is about.
    pub event: DeliveryEvent,
    /// When the job began, milliseconds since 1970: a job that is opened again is told of again.
    pub run_ms: u64,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// What is posted, the same at every attempt.
    pub body: String,
    /// The last page of each partition that this message or an earlier one told of.
    pub told: BTreeMap<u16, u64>,
    /// Whether it was taken.
    pub state: DeliveryState,
    /// Attempts since it was made, or since somebody asked for it again.
    pub tries: u32,
    /// The last attempts.
    pub attempts: Vec<AttemptRecord>,
}

/// Whether a message was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Not yet; it is sent at this moment, milliseconds since 1970.
    Waiting {
        /// The moment.
        at_ms: u64,
    },
    /// It was answered with a status of success.
    Delivered,
    /// It is not sent any more.
    GivenUp,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// What came of it.
    pub answer: Answer,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// An HTTP status.
    Status(u16),
    /// No answer, and why, in words that say nothing of the network that the ring stands in.
    Error(String),
}

impl Answer {
    const fn is_success(&self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    /// 410: the receiver does not want any more of this (RFC 9110, section 15.5.11).
    const fn is_refusal(&self) -> bool {
        matches!(self, Self::Status(410))
    }
}

impl DeliveryRecord {
    /// Whether it is still to be sent.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, DeliveryState::Waiting { .. })
    }

    /// Notes an attempt, and when the next is due. `asked`: how long the receiver wants to be left alone; `dice`: 0 to 1.
    pub fn handle_attempt(&mut self, attempt: AttemptRecord, asked: Option<Duration>, dice: f64) {
        let ended_ms = attempt.at_ms + attempt.took_ms;
        self.tries += 1;
        self.state = match &attempt.answer {
            answer if answer.is_success() => DeliveryState::Delivered,
            answer if answer.is_refusal() || self.tries >= MOST_ATTEMPTS => DeliveryState::GivenUp,
            _ => {
                let pause = pause(self.tries, dice).max(asked.unwrap_or_default().min(LONGEST_PAUSE));
                DeliveryState::Waiting { at_ms: ended_ms + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) }
            }
        };
        self.attempts.push(attempt);
        if self.attempts.len() > REMEMBERED_ATTEMPTS {
            self.attempts.remove(0);
        }
    }

    /// It is to be sent once more, from now on.
    pub fn handle_redeliver(&mut self, now_ms: u64) {
        self.state = DeliveryState::Waiting { at_ms: now_ms };
        self.tries = 0;
    }
}

/// How long after the attempt number `tries` the next one is made.
pub(super) fn pause(tries: u32, dice: f64) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    pause.mul_f64(1.0 + JITTER * (dice.clamp(0.0, 1.0) * 2.0 - 1.0))
}

/// What a job's record says that webhooks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When the job began, milliseconds since 1970; 0 if it has not.
    pub run_ms: u64,
    /// How it ended, if it has.
    pub end: Option<DeliveryEvent>,
}

/// What a webhook is told next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This.
    Tell(DeliveryEvent),
    /// Pages that it was not told of yet; if there are none and the job has ended, the event behind them.
    Pages(Option<DeliveryEvent>),
    /// Nothing until the job goes on.
    Wait,
    /// Nothing any more.
    Done,
}

/// What a webhook that wants to know of `wanted` is told next. `settled`: its messages, the oldest first, none of
/// them waiting.
#[must_use]
pub fn next<'a>(
    wanted: &[DeliveryEvent],
    moment: Moment,
    settled: impl DoubleEndedIterator<Item = &'a DeliveryRecord>,
) -> Next {
    let mut told = settled.rev().take_while(|delivery| delivery.run_ms == moment.run_ms).peekable();
    let wants = |event| wanted.contains(&event);
    let newest = told.peek().map(|delivery| delivery.event);
    if newest.is_some_and(DeliveryEvent::is_end) {
        return if moment.end.is_some() { Next::Done } else { Next::Wait };
    }
    if newest.is_none() && moment.run_ms > 0 && wants(DeliveryEvent::Started) {
        return Next::Tell(DeliveryEvent::Started);
    }
    let given_up = told
        .find(|delivery| delivery.event == DeliveryEvent::Page)
        .is_some_and(|delivery| delivery.state == DeliveryState::GivenUp);
    let end = moment.end.filter(|end| wants(*end));
    match (wants(DeliveryEvent::Page) && !given_up, moment.end, end) {
        (true, _, end) => Next::Pages(end),
        (false, _, Some(end)) => Next::Tell(end),
        (false, Some(_), None) => Next::Done,
        (false, None, None) => Next::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryEvent::{Completed, Failed, Page, Started};

    fn delivery(event: DeliveryEvent, run_ms: u64, state: DeliveryState) -> DeliveryRecord {
        let (body, told, attempts) = (String::new(), BTreeMap::new(), Vec::new());
        DeliveryRecord { event, run_ms, created_ms: 1, body, told, state, tries: 0, attempts }
    }

    fn attempt(answer: Answer) -> AttemptRecord {
        AttemptRecord { at_ms: 1_000, took_ms: 10, answer }
    }

    #[test]
    fn a_webhook_is_told_the_start_then_pages_then_the_end_and_no_more() {
        let all = [Started, Page, Completed, Failed];
        let moment = |run_ms, end| Moment { run_ms, end };
        let told = |events: &[DeliveryEvent]| -> Vec<DeliveryRecord> {
            events.iter().map(|event| delivery(*event, 5, DeliveryState::Delivered)).collect()
        };
        for (events, moment, expected) in [
            (vec![], moment(0, None), Next::Pages(None)),
            (vec![], moment(5, None), Next::Tell(Started)),
            (vec![Started], moment(5, None), Next::Pages(None)),
            (vec![Started, Page], moment(5, Some(Completed)), Next::Pages(Some(Completed))),
            (vec![Started, Page, Completed], moment(5, Some(Completed)), Next::Done),
            // Its failed pages were opened again.
            (vec![Started, Page, Completed], moment(9, None), Next::Tell(Started)),
            // Cancelled before it began.
            (vec![], moment(0, Some(Completed)), Next::Pages(Some(Completed))),
        ] {
            assert_eq!(next(&all, moment, told(&events).iter()), expected, "{events:?} {moment:?}");
        }
        let end = moment(5, Some(Completed));
        assert_eq!(next(&[Failed], end, [].iter()), Next::Done, "it did not fail");
        assert_eq!(next(&[Started], end, told(&[Started]).iter()), Next::Done);
        assert_eq!(next(&[Completed], end, [].iter()), Next::Tell(Completed));
        assert_eq!(next(&[Completed], moment(5, None), [].iter()), Next::Wait);
    }

    #[test]
    fn after_pages_were_given_up_only_the_end_is_told() {
        let told = [delivery(Started, 5, DeliveryState::Delivered), delivery(Page, 5, DeliveryState::GivenUp)];
        let running = Moment { run_ms: 5, end: None };
        assert_eq!(next(&[Page, Completed], running, told.iter()), Next::Wait);
        let ended = Moment { end: Some(Completed), ..running };
        assert_eq!(next(&[Page, Completed], ended, told.iter()), Next::Tell(Completed));
    }

    #[test]
    fn a_message_is_sent_again_less_and_less_often_and_given_up_after_nine_hours() {
        let mut record = delivery(Started, 5, DeliveryState::Waiting { at_ms: 0 });
        let (mut pauses, mut now_ms) = (Vec::new(), 0);
        while let DeliveryState::Waiting { at_ms } = record.state {
            pauses.push(at_ms - now_ms);
            now_ms = at_ms;
            let failed = AttemptRecord { at_ms, took_ms: 0, answer: Answer::Status(500) };
            record.handle_attempt(failed, None, 0.5);
        }
        assert_eq!(record.state, DeliveryState::GivenUp);
        assert_eq!((pauses.len(), pauses[1], pauses[2], pauses[19]), (20, 2_000, 4_000, 3_600_000));
        assert!((8.0..10.0).contains(&(now_ms as f64 / 3_600_000.0)), "{now_ms} ms");
        assert_eq!(record.attempts.len(), 20);
    }

    #[test]
    fn success_ends_a_message_and_gone_ends_it_too_and_the_receiver_may_ask_for_time() {
        let waiting = || delivery(Page, 5, DeliveryState::Waiting { at_ms: 0 });
        let mut record = waiting();
        record.handle_attempt(attempt(Answer::Error("could not connect".to_owned())), None, 1.0);
        assert_eq!(record.state, DeliveryState::Waiting { at_ms: 1_010 + 2_400 });
        record.handle_attempt(attempt(Answer::Status(503)), Some(Duration::from_secs(60)), 0.5);
        assert_eq!(record.state, DeliveryState::Waiting { at_ms: 61_010 });
        record.handle_attempt(attempt(Answer::Status(204)), None, 0.5);
        assert_eq!(record.state, DeliveryState::Delivered);
        record.handle_redeliver(7);
        assert_eq!((record.state, record.tries), (DeliveryState::Waiting { at_ms: 7 }, 0));
        let mut gone = waiting();
        gone.handle_attempt(attempt(Answer::Status(410)), None, 0.5);
        assert_eq!(gone.state, DeliveryState::GivenUp);
        let mut redirected = waiting();
        redirected.handle_attempt(attempt(Answer::Status(302)), None, 0.5);
        assert!(redirected.is_waiting(), "a redirect is no success");
    }

    #[test]
    fn an_id_is_read_back_and_nothing_else_is() {
        let id = DeliveryId { job: JobId([7; 16]), hook: 3, number: 42 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "a-b-c", "07070707-0707-0707-0707-070707070707", "07070707-0707-0707-0707-070707070707-0-x"] {
            assert_eq!(text.parse::<DeliveryId>(), Err(DeliveryIdError), "{text}");
        }
    }
}
