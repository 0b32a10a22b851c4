//! A job as it happens: server-sent events `status`, `pages` and `end`.
//!
//! The id of an event is the cursor behind the pages it told; sent back as `Last-Event-ID`, at any node, the next pages
//! come, none twice. The status at the beginning is always told, and after `end` there is nothing more.

use crate::crawl::cursor::Cursor;
use crate::crawl::jobs::{FetchedPage, JobRef, JobsError};
use crate::gateway::GatewayState;
use crate::gateway::jobs::JobPath;
use crate::gateway::object::{JobObject, StatusObject};
use crate::gateway::openapi::{Input, Operation, Parameter, text};
use crate::gateway::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::request::Parts;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

/// Between two looks at a job in which nothing happened.
const LOOK: Duration = Duration::from_secs(1);
/// Silence after which a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most pages in one event.
const MOST_PAGES: usize = 200;

/// Where a follower goes on.
pub(in crate::gateway) struct GoOn(Cursor);

impl<S: Send + Sync> FromRequestParts<S> for GoOn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("last-event-id").iter();
        let cursor = match (values.next(), values.next()) {
            (None, _) => Some(Cursor::default()),
            (Some(value), None) if value.is_empty() => Some(Cursor::default()),
            (Some(value), None) => value.to_str().ok().and_then(|text| text.trim().parse().ok()),
            (Some(_), Some(_)) => None,
        };
        let detail = "Last-Event-ID must be the id of an event of this job, once; leave it out to begin anew";
        cursor.map(Self).ok_or_else(|| Problem::new(Kind::InvalidHeader, detail))
    }
}

impl Input for GoOn {
    fn describe(operation: &mut Operation) {
        let says = "The id of the last event that was seen; the next pages follow, at any node.";
        operation.take(Parameter::header("last-event-id", says, text));
        operation.may_fail(&[Kind::InvalidHeader]);
    }
}

/// The data of an event.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::gateway) enum JobEvent {
    /// Of `status`, and of `end`: how far the job is.
    Status(Box<StatusObject>),
    /// Of `pages`: what was fetched since the last event of this kind.
    Pages(Vec<FetchedPage>),
}

/// What a follower has been told.
struct Follower {
    state: GatewayState,
    job: JobRef,
    cursor: Cursor,
    told: Option<StatusObject>,
    waiting: VecDeque<Event>,
    has_ended: bool,
}

/// `GET /v1/jobs/{id}/events`
pub(in crate::gateway) async fn follow(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    GoOn(cursor): GoOn,
) -> Result<Response, Problem> {
    state.jobs.status(&job).await?;
    let follower = Follower { state, job, cursor, told: None, waiting: VecDeque::new(), has_ended: false };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.has_ended {
                return None;
            }
            match self.look().await {
                Ok(true) => {}
                // The ring may be able to answer again in a moment.
                Ok(false) | Err(JobsError::Unavailable) => tokio::time::sleep(LOOK).await,
                // The job was deleted: its follower sees the stream end without `end`.
                Err(_) => return None,
            }
        }
    }

    /// Whether there was anything to tell.
    async fn look(&mut self) -> Result<bool, JobsError> {
        let status = JobObject::from(self.state.jobs.status(&self.job).await?).status;
        let page = self.state.jobs.pages(&self.job, &self.cursor, MOST_PAGES).await?;
        if self.told.as_ref() != Some(&status) {
            self.tell("status", &JobEvent::Status(Box::new(status.clone())));
            self.told = Some(status.clone());
        }
        let (complete, more) = (page.complete, !page.entries.is_empty());
        self.cursor = page.cursor;
        if more {
            self.tell("pages", &JobEvent::Pages(page.entries));
        } else if complete {
            self.tell("end", &JobEvent::Status(Box::new(status)));
            self.has_ended = true;
        }
        Ok(!self.waiting.is_empty())
    }

    fn tell(&mut self, name: &str, data: &JobEvent) {
        let data = serde_json::to_string(data).expect("texts and numbers always become JSON");
        self.waiting.push_back(Event::default().event(name).id(self.cursor.to_string()).data(data));
    }
}
