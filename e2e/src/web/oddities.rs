//! Everything that goes wrong out there: busy hosts, broken ones, slow ones, traps, bombs, duplicates.
//!
//! All of it hangs below `/odd` of an odd host, so that a job chooses whether to go there.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use super::REBINDING;
use super::charsets;
use super::exchange::{Answer, Manner, Question, busy, page};
use super::site::mix;

/// Longest chain of redirects.
const CHAIN: u32 = 30;
/// What a bomb unpacks to, bytes.
const BOMB_BYTES: usize = 64 << 20;
/// URLs in the large sitemap.
const SITEMAP_URLS: u32 = 50_000;

/// Answers a path of an odd host.
pub(super) fn answer(question: &Question<'_>) -> Answer {
    let (path, query) = question.path.split_once('?').unwrap_or((question.path, ""));
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (first, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match first {
        "odd" => Answer::html(page("Odd things", &index())),
        "busy" => once(question, |date| busy(429, Duration::from_secs(2), date), rest == "date"),
        "unavailable" => once(question, |date| busy(503, Duration::from_secs(2), date), rest == "date"),
        "overloaded" if question.times <= 1 => Answer::new(503, "text/plain", "no header says for how long"),
        "flaky" if question.times <= 1 => Answer::new(500, "text/plain", "once more, please"),
        "overloaded" | "flaky" => Answer::html(page("It works now", &[])),
        "gone" => Answer::new(410, "text/plain", "gone"),
        "teapot" => Answer::new(418, "text/plain", "short and stout"),
        "broken" => Answer::new(500, "text/plain", "always"),
        "reset" => Answer::html("").in_manner(Manner::Reset),
        "slow-header" => Answer::html("").in_manner(Manner::SlowHeader),
        "endless" => Answer::html("<p>").in_manner(Manner::Endless),
        "cut-off" => Answer::html(page("This page ends in the mid", &[])).in_manner(Manner::CutOff),
        "loop" => Answer::redirect(if rest == "a" { "/loop/b" } else { "/loop/a" }),
        "chain" => chain(rest.parse().unwrap_or(0)),
        "away" => Answer::redirect("http://elsewhere.test/"),
        "inside" => Answer::redirect(inside(question, rest)),
        "calendar" => calendar(rest),
        "session" => session(question, query),
        "deep" => Answer::html(page("Deeper", &[format!("{path}/again")])),
        "charset" => charset(rest),
        "bomb" => bomb(rest),
        "same" => Answer::html(page("The same under several names", &[])),
        "similar" => Answer::html(similar(rest)),
        "picture" => Answer::new(200, "image/png", b"\x89PNG\r\n\x1a\n".to_vec()),
        "sitemap.xml" | "sitemap-large.xml" | "sitemap.xml.gz" => sitemap(question, first),
        "feed.atom" | "feed.rss" => feed(question, first),
        "data.json" => {
            Answer::new(200, "application/json", r#"{"items":[{"name":"one","price":1.5},{"name":"two","price":2}]}"#)
        }
        "moved-on" => Answer::html(page("Here", &[])).with("X-Robots-Tag", "nofollow"),
        _ => Answer::not_found(),
    }
}

/// Every entrance.
fn index() -> Vec<String> {
    let fixed = [
        "busy",
        "busy/date",
        "unavailable",
        "unavailable/date",
        "overloaded",
        "flaky",
        "gone",
        "teapot",
        "broken",
        "reset",
        "slow-header",
        "endless",
        "cut-off",
        "loop/a",
        "chain/1",
        "away",
        "inside/metadata",
        "inside/decimal",
        "inside/mapped",
        "inside/rebinding",
        "calendar/2026-01",
        "session",
        "deep/a",
        "bomb/gzip",
        "bomb/br",
        "bomb/zstd",
        "same/1",
        "same/2",
        "similar/1",
        "similar/2",
        "picture",
        "data.json",
        "moved-on",
    ];
    let charsets = (0..charsets::PAGES.len()).map(|place| format!("/charset/{place}"));
    fixed.iter().map(|path| format!("/{path}")).chain(charsets).collect()
}

fn once(question: &Question<'_>, answer: impl Fn(bool) -> Answer, date: bool) -> Answer {
    if question.times <= 1 { answer(date) } else { Answer::html(page("No longer busy", &[])) }
}

fn chain(step: u32) -> Answer {
    if step >= CHAIN { Answer::html(page("The end", &[])) } else { Answer::redirect(format!("/chain/{}", step + 1)) }
}

/// Places inside somebody's network, in several spellings.
fn inside(question: &Question<'_>, spelling: &str) -> String {
    match spelling {
        "decimal" => "http://2130706433:9/".to_owned(),
        "mapped" => "http://[::ffff:169.254.169.254]/latest/meta-data/".to_owned(),
        "rebinding" => format!("http://{REBINDING}:{}/", question.port),
        _ => "http://169.254.169.254/latest/meta-data/".to_owned(),
    }
}

/// A month that links to the next, for ever.
fn calendar(month: &str) -> Answer {
    let read = || {
        let (year, month) = month.split_once('-')?;
        Some((year.parse::<u32>().ok()?, month.parse::<u32>().ok().filter(|month| (1..=12).contains(month))?))
    };
    let Some((year, month)) = read() else { return Answer::not_found() };
    let (next_year, next_month) = if month == 12 { (year.saturating_add(1), 1) } else { (year, month + 1) };
    let next = format!("/calendar/{next_year}-{next_month:02}");
    Answer::html(page(&format!("Calendar of {year}-{month:02}"), &[next]))
}

/// The same page under a new session id at each visit.
fn session(question: &Question<'_>, query: &str) -> Answer {
    let id = mix(question.config.seed, u64::from(question.times) + query.len() as u64 * 31 + hash(query));
    Answer::html(page("A shop with session ids", &[format!("/session?sid={id:016x}"), format!("/session?view={id:x}")]))
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(7, |hash, byte| mix(hash, u64::from(byte)))
}

fn charset(place: &str) -> Answer {
    let found = place.parse().ok().and_then(charsets::page);
    found.map_or_else(Answer::not_found, |(content_type, bytes)| Answer::new(200, &content_type, bytes))
}

/// A few kilobytes that unpack to [`BOMB_BYTES`].
fn bomb(coding: &str) -> Answer {
    static BOMBS: [OnceLock<Vec<u8>>; 3] = [const { OnceLock::new() }; 3];
    let (place, name) = match coding {
        "gzip" => (0, "gzip"),
        "br" => (1, "br"),
        "zstd" => (2, "zstd"),
        _ => return Answer::not_found(),
    };
    let packed = BOMBS[place].get_or_init(|| pack(name, &vec![b' '; BOMB_BYTES]).unwrap_or_default());
    Answer::html(packed.clone()).with("Content-Encoding", name)
}

fn pack(coding: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    match coding {
        "br" => {
            brotli::CompressorWriter::new(&mut packed, 4096, 5, 22).write_all(bytes)?;
        }
        "zstd" => packed = zstd::encode_all(bytes, 3)?,
        _ => {
            let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
            encoder.write_all(bytes)?;
            encoder.finish()?;
        }
    }
    Ok(packed)
}

/// A long text of which only one word differs.
fn similar(which: &str) -> String {
    let sentence = "The quick brown fox jumps over the lazy dog while the crawler waits for its turn. ";
    format!("{}<p>{}</p><p>Edition {which}.</p>", page("Nearly the same", &[]), sentence.repeat(40))
}

fn sitemap(question: &Question<'_>, name: &str) -> Answer {
    let base = question.url_of(question.site.number);
    let urls = |count: u32| {
        let entries: String = (1..=count).map(|page| format!("<url><loc>{base}p/{page}</loc></url>")).collect();
        format!(
            "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{entries}</urlset>"
        )
    };
    match name {
        "sitemap-large.xml" => Answer::new(200, "application/xml", urls(SITEMAP_URLS)),
        "sitemap.xml.gz" => {
            Answer::new(200, "application/gzip", pack("gzip", urls(question.site.pages).as_bytes()).unwrap_or_default())
        }
        _ => Answer::new(
            200,
            "application/xml",
            format!(
                "<?xml version=\"1.0\"?><sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"><sitemap><loc>{base}sitemap.xml.gz</loc></sitemap><sitemap><loc>{base}sitemap-large.xml</loc></sitemap></sitemapindex>"
            ),
        ),
    }
}

fn feed(question: &Question<'_>, name: &str) -> Answer {
    let base = question.url_of(question.site.number);
    let pages = 1..=question.site.pages.min(20);
    if name == "feed.rss" {
        let items: String =
            pages.map(|page| format!("<item><title>{page}</title><link>{base}p/{page}</link></item>")).collect();
        return Answer::new(
            200,
            "application/rss+xml",
            format!(
                "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title><link>{base}</link>{items}</channel></rss>"
            ),
        );
    }
    let entries: String = pages
        .map(|page| {
            format!("<entry><title>{page}</title><id>{base}p/{page}</id><link href=\"{base}p/{page}\"/></entry>")
        })
        .collect();
    Answer::new(
        200,
        "application/atom+xml",
        format!(
            "<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><title>News</title>{entries}</feed>"
        ),
    )
}
