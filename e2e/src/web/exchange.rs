//! A question to a host of the fixture web, and an answer before it is on the wire.

use std::fmt::Write;
use std::time::Duration;

use super::Config;
use super::site::Site;
use crate::shop::counter;

/// An answer before it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) manner: Manner,
    /// How long the visitor is asked to stay away.
    pub(super) pause: Option<Duration>,
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As HTTP has it.
    Plain,
    /// The connection is reset instead.
    Reset,
    /// The header comes byte by byte and never ends.
    SlowHeader,
    /// The body never ends.
    Endless,
    /// The connection is closed in the middle of the body.
    CutOff,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status, headers, body: body.into(), manner: Manner::Plain, pause: None }
    }

    pub(super) fn html(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "text/html; charset=utf-8", body)
    }

    pub(super) fn text(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "text/plain; charset=utf-8", body)
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "text/html; charset=utf-8", page("Not found", &[]))
    }

    pub(super) fn redirect(location: impl Into<String>) -> Self {
        Self::new(302, "text/html; charset=utf-8", page("Moved", &[])).with("Location", location)
    }

    pub(super) fn of_shop(answer: counter::Answer) -> Self {
        let mut headers = vec![("Content-Type", answer.content_type.to_owned())];
        headers.extend(answer.header.map(|(name, value)| (name, value.to_owned())));
        let asked = answer.header.filter(|(name, _)| *name == "Retry-After").and_then(|(_, value)| value.parse().ok());
        let (body, pause) = (answer.body.to_vec(), asked.map(Duration::from_secs));
        Self { status: answer.status, headers, body, manner: Manner::Plain, pause }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }
}

/// What is asked of a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) config: &'a Config,
    pub(super) port: u16,
    pub(super) site: Site,
    /// Path and query.
    pub(super) path: &'a str,
    /// How often the path was asked for, this time included.
    pub(super) times: u32,
}

impl Question<'_> {
    /// The front page of the host with this number.
    pub(super) fn url_of(&self, number: u32) -> String {
        format!("http://{}:{}/", Site::new(self.config, number).name(self.config), self.port)
    }
}

/// An answer that asks for a pause, in seconds or as a date.
pub(super) fn busy(status: u16, pause: Duration, as_date: bool) -> Answer {
    let answer = Answer::new(status, "text/plain", "come again later");
    if !as_date {
        return Answer { pause: Some(pause), ..answer.with("Retry-After", pause.as_secs().to_string()) };
    }
    // A date has whole seconds: the pause ends when it comes.
    let now = jiff::Timestamp::now();
    let until =
        jiff::Timestamp::from_second(now.as_second() + i64::try_from(pause.as_secs()).unwrap_or(0) + 1).unwrap_or(now);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&until).unwrap_or_default();
    let pause = Duration::try_from(until.duration_since(now)).unwrap_or(pause);
    Answer { pause: Some(pause), ..answer.with("Retry-After", date) }
}

/// A page with a heading, which is its item, and links.
pub(super) fn page(title: &str, links: &[String]) -> String {
    let mut html = format!(
        "<!doctype html><html><head><title>{title}</title></head><body><article class=\"page\"><h1>{title}</h1></article><ul>"
    );
    for link in links {
        let _ = write!(html, "<li><a href=\"{link}\">{link}</a></li>");
    }
    html.push_str("</ul></body></html>");
    html
}
