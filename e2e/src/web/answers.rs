//! What a host of the fixture web says to a request: its ordinary pages and its robots.txt.

use std::fmt::Write;
use std::time::Duration;

use super::site::{Robots, SECRET, SECRET_ENDING, Site, TOKEN};
use super::{Config, oddities};
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

/// The answer of a host.
pub(super) fn answer(question: &Question<'_>) -> Answer {
    let Question { config, site, path, .. } = *question;
    if path == "/robots.txt" || path == "/robots-moved.txt" {
        return robots(question);
    }
    if path == "/" {
        let mut links: Vec<String> = site.links(config, 0).iter().map(|page| format!("/p/{page}")).collect();
        links.extend(site.neighbours(config).into_iter().map(|number| question.url_of(number)));
        links.push(SECRET.to_owned());
        if site.is_odd {
            links.push("/odd".to_owned());
        }
        return Answer::html(page(&format!("Host {}", site.number), &links));
    }
    let number = path.strip_prefix("/p/").and_then(|digits| digits.parse().ok());
    if let Some(number) = number.filter(|number| (1..=site.pages).contains(number)) {
        let mut links: Vec<String> = site.links(config, number).iter().map(|page| format!("/p/{page}")).collect();
        links.extend([format!("{SECRET}/{number}"), format!("/p/{number}{SECRET_ENDING}"), "/".to_owned()]);
        return Answer::html(page(&format!("Page {number} of host {}", site.number), &links));
    }
    if path.starts_with(SECRET) || path.ends_with(SECRET_ENDING) {
        return Answer::html(page("Not for everybody", &[]));
    }
    if site.is_odd { oddities::answer(question) } else { Answer::not_found() }
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

fn robots(question: &Question<'_>) -> Answer {
    let Question { site, path, times, .. } = *question;
    let forbidden = format!("User-agent: *\nDisallow: {SECRET}\n");
    if path == "/robots-moved.txt" {
        return if site.robots == Robots::Moved { Answer::text(forbidden) } else { Answer::not_found() };
    }
    match site.robots {
        Robots::Missing => Answer::not_found(),
        Robots::Empty => Answer::text(""),
        Robots::Disallow => Answer::text(forbidden),
        Robots::Wildcards => {
            Answer::text(format!("User-agent: *\nDisallow: {SECRET}\nDisallow: /*{SECRET_ENDING}$\nAllow: /p/\n"))
        }
        Robots::ForOne => Answer::text(format!(
            "User-agent: *\nDisallow: /\n\nUser-agent: other\nUser-agent: {TOKEN}\nDisallow: {SECRET}\n"
        )),
        Robots::CrawlDelay(delay) => Answer::text(format!("{forbidden}Crawl-delay: {}\n", delay.as_secs_f64())),
        Robots::DisallowAll => Answer::text("User-agent: *\nDisallow: /\n"),
        Robots::Broken => Answer::new(500, "text/plain", "broken"),
        Robots::Busy if times == 1 => oddities::busy(503, Duration::from_secs(1), false),
        Robots::Busy => Answer::text(forbidden),
        Robots::Moved => Answer::redirect("/robots-moved.txt"),
        Robots::Huge => Answer::text(format!("{forbidden}{}", "# nothing to see here\n".repeat(600 * 1024 / 22))),
        Robots::Untidy => Answer::text(format!(
            "\u{feff}# rules\r\nUSER-AGENT : *   # everybody\r\n  disallow:{SECRET}  \r\nunknown: x\r\n"
        )),
    }
}
