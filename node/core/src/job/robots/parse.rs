//! Lines of a robots.txt, gathered into what concerns one product token (RFC 9309 section 2.2).

use super::pattern::Pattern;
use super::{BODY_BYTES_MAX, Robots, Rule};

/// Most sitemaps kept.
const SITEMAPS_MAX: usize = 1_000;
/// Longest sitemap URL kept, bytes.
const SITEMAP_BYTES_MAX: usize = 2_083;
/// Bytes of a line that are read; no URL is that long, and other crawlers cut there too.
const LINE_BYTES_MAX: usize = 8 * 2_083 - 1;
/// Longest crawl delay that can be told apart; the job's own `maxCrawlDelay` is far below.
const CRAWL_DELAY_MAX_S: f64 = 31_536_000.0;

/// What a line says; keys that are not listed are passed over.
enum Line<'a> {
    UserAgent(&'a [u8]),
    Rule(bool, &'a [u8]),
    CrawlDelay(&'a [u8]),
    Sitemap(&'a [u8]),
}

/// The groups of one reader: the token's own, or everyone's (`*`).
#[derive(Default)]
struct Audience {
    /// Whether any group names this audience; an empty group still counts.
    named: bool,
    /// Whether the group being read applies.
    open: bool,
    rules: Vec<Rule>,
    crawl_delay_ms: Option<u64>,
}

impl Audience {
    fn take_delay(&mut self, delay_ms: u64) {
        if self.open {
            self.crawl_delay_ms = self.crawl_delay_ms.max(Some(delay_ms));
        }
    }
}

pub(super) fn robots(body: &[u8], product_token: &str) -> Robots {
    let token = product_token.trim().as_bytes();
    let token = if leading_token(token) == token { token } else { b"" };
    let mut own = Audience::default();
    let mut everyone = Audience::default();
    let mut sitemaps = Vec::new();
    let mut naming_agents = false;

    for line in whole_lines(body).filter_map(read_line) {
        match line {
            Line::UserAgent(value) => {
                if !naming_agents {
                    own.open = false;
                    everyone.open = false;
                }
                naming_agents = true;
                if is_everyone(value) {
                    everyone.open = true;
                    everyone.named = true;
                } else if !token.is_empty() && leading_token(value).eq_ignore_ascii_case(token) {
                    own.open = true;
                    own.named = true;
                }
            }
            Line::Rule(allow, value) => {
                naming_agents = false;
                for audience in [&mut own, &mut everyone] {
                    if audience.open && !value.is_empty() {
                        audience.rules.push(Rule(allow, Pattern::new(value)));
                        if let Some(folder) = folder_of_index(value).filter(|_| allow) {
                            audience.rules.push(Rule(true, Pattern::new(&[folder, b"$"].concat())));
                        }
                    }
                }
            }
            Line::CrawlDelay(value) => {
                naming_agents = false;
                if let Some(delay_ms) = crawl_delay_ms(value) {
                    own.take_delay(delay_ms);
                    everyone.take_delay(delay_ms);
                }
            }
            Line::Sitemap(value) => {
                if let Some(url) = sitemap(value).filter(|_| sitemaps.len() < SITEMAPS_MAX) {
                    sitemaps.push(url);
                }
            }
        }
    }
    let chosen = if own.named { own } else { everyone };
    Robots { rules: chosen.rules, crawl_delay_ms: chosen.crawl_delay_ms, sitemaps }
}

/// Lines of the part that is read, without the one that the limit cuts through.
fn whole_lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let body = without_mark(body);
    let read = match body.get(..=BODY_BYTES_MAX) {
        Some(window) => &window[..window.iter().rposition(is_end).unwrap_or(0)],
        None => body,
    };
    read.split(is_end)
}

/// Without the byte order mark, or what is left of it where it was cut off.
fn without_mark(body: &[u8]) -> &[u8] {
    let mark = b"\xEF\xBB\xBF";
    let matching = body.iter().zip(mark).take_while(|(byte, expected)| byte == expected).count();
    &body[matching..]
}

/// `/a/` of `/a/index.html`: whoever allows the one means the other.
fn folder_of_index(path: &[u8]) -> Option<&[u8]> {
    path.strip_suffix(b"index.html").filter(|folder| folder.ends_with(b"/"))
}

fn read_line(line: &[u8]) -> Option<Line<'_>> {
    let line = &line[..line.len().min(LINE_BYTES_MAX)];
    let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
    let (key, value) = split_key(line)?;
    let value = value.trim_ascii();
    match key.trim_ascii().to_ascii_lowercase().as_slice() {
        b"user-agent" | b"useragent" | b"user agent" => Some(Line::UserAgent(value)),
        b"allow" => Some(Line::Rule(true, value)),
        b"disallow" | b"dissallow" | b"disalow" | b"dissalow" | b"diasllow" | b"disallaw" => {
            Some(Line::Rule(false, value))
        }
        b"crawl-delay" | b"crawldelay" | b"crawl delay" => Some(Line::CrawlDelay(value)),
        b"sitemap" | b"site-map" => Some(Line::Sitemap(value)),
        _ => None,
    }
}

/// `key: value`, or `key value` where the colon was forgotten.
fn split_key(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(at) = line.iter().position(|byte| *byte == b':') {
        return Some((&line[..at], &line[at + 1..]));
    }
    let at = line.iter().position(u8::is_ascii_whitespace)?;
    let value = line[at..].trim_ascii();
    let one_word = !value.iter().any(u8::is_ascii_whitespace);
    one_word.then_some((&line[..at], value))
}

/// `ExampleBot/1.0 (…)` names the product `ExampleBot`.
fn leading_token(value: &[u8]) -> &[u8] {
    let is_token = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    &value[..value.iter().take_while(|byte| is_token(byte)).count()]
}

fn is_everyone(value: &[u8]) -> bool {
    value.strip_prefix(b"*").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

fn crawl_delay_ms(value: &[u8]) -> Option<u64> {
    let is_decimal = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let seconds: f64 = std::str::from_utf8(value).ok().filter(|_| is_decimal)?.parse().ok()?;
    let delay = std::time::Duration::try_from_secs_f64(seconds.min(CRAWL_DELAY_MAX_S)).ok()?;
    u64::try_from(delay.as_millis()).ok()
}

fn sitemap(value: &[u8]) -> Option<String> {
    let url = std::str::from_utf8(value).ok()?;
    (!url.is_empty() && url.len() <= SITEMAP_BYTES_MAX).then(|| url.to_owned())
}
