//! What a host of the fixture web says to a request: its ordinary pages and its robots.txt.

use std::time::Duration;

use super::exchange::{Answer, Question, busy, page};
use super::oddities;
use super::site::{Robots, SECRET, SECRET_ENDING, TOKEN};

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
        Robots::Busy if times == 1 => busy(503, Duration::from_secs(1), false),
        Robots::Busy => Answer::text(forbidden),
        Robots::Moved => Answer::redirect("/robots-moved.txt"),
        Robots::Huge => Answer::text(format!("{forbidden}{}", "# nothing to see here\n".repeat(600 * 1024 / 22))),
        Robots::Untidy => Answer::text(format!(
            "\u{feff}# rules\r\nUSER-AGENT : *   # everybody\r\n  disallow:{SECRET}  \r\nunknown: x\r\n"
        )),
    }
}
