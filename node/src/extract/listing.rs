//! Lists of pages that a site publishes: sitemaps (sitemaps.org 0.9, their indexes, plain text), RSS 0.9 to 2.0 and Atom feeds.
//!
//! A list is read as a stream, unpacked as it goes if it is gzipped, so that fifty megabytes of it never stand in memory. Whatever can be read before
//! a fault counts.

mod decoded;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesStart, Event};
use url::Url;

use decoded::Decoded;

use super::budget::{CpuBudget, Meter};
use super::{ExtractError, absolute};

/// Most bytes of a list once it is unpacked: sitemaps.org allows 52,428,800.
const MAX_LIST_BYTES: u64 = 52_428_800;
/// Most URLs of one list: what sitemaps.org allows.
pub const MAX_LIST_URLS: usize = 50_000;
/// Longest URL that is kept, bytes.
const MAX_URL_BYTES: usize = 2_083;
/// Deepest nesting of elements that is followed; lists have four levels.
const MAX_DEPTH: usize = 64;

/// What a list names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Absolute http and https URLs of pages without fragment, in the order of the list, each once.
    pub pages: Vec<String>,
    /// URLs of further lists, for an index of sitemaps.
    pub lists: Vec<String>,
    /// URLs beyond [`MAX_LIST_URLS`]; the same one may count twice.
    pub cut: u64,
    /// Why the rest of the list could not be read.
    pub fault: Option<String>,
}

/// Reads a list found at `url`.
///
/// # Errors
/// [`ExtractError::BudgetExceeded`]; nothing of the list is returned.
pub fn read(body: &[u8], url: &Url, budget: CpuBudget) -> Result<Listing, ExtractError> {
    let mut meter = Meter::start(budget);
    let mut walk = Walk::new(url);
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    let outcome = if is_gzip {
        let unpacked = MultiGzDecoder::new(body).take(MAX_LIST_BYTES);
        walk.read(BufReader::new(unpacked), &mut meter)
    } else {
        walk.read(body.take(MAX_LIST_BYTES), &mut meter)
    };
    match outcome {
        Ok(()) => {}
        Err(Stop::Costly(error)) => return Err(error),
        Err(Stop::Broken(fault)) => walk.listing.fault = Some(fault.chars().take(200).collect()),
    }
    Ok(walk.listing)
}

/// Why reading ends before the list does.
enum Stop {
    Costly(ExtractError),
    Broken(String),
}

impl From<ExtractError> for Stop {
    fn from(error: ExtractError) -> Self {
        Self::Costly(error)
    }
}

/// What a text is, by the elements around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Page,
    List,
}

struct Walk {
    base: Url,
    path: Vec<String>,
    text: String,
    seen: HashSet<String>,
    listing: Listing,
}

impl Walk {
    fn new(base: &Url) -> Self {
        Self {
            base: base.clone(),
            path: Vec::new(),
            text: String::new(),
            seen: HashSet::new(),
            listing: Listing::default(),
        }
    }

    fn read(&mut self, source: impl BufRead, meter: &mut Meter) -> Result<(), Stop> {
        let broken = |error: std::io::Error| Stop::Broken(error.to_string());
        let mut source = Decoded::new(source).map_err(broken)?;
        let first = loop {
            let buffer = source.fill_buf().map_err(broken)?;
            let Some(first) = buffer.iter().copied().find(|byte| !byte.is_ascii_whitespace()) else {
                let used = buffer.len();
                if used == 0 {
                    return Ok(());
                }
                source.consume(used);
                continue;
            };
            break first;
        };
        if first == b'<' { self.xml(source, meter) } else { self.lines(source, meter) }
    }

    /// A sitemap in plain text: a URL a line.
    fn lines(&mut self, source: impl BufRead, meter: &mut Meter) -> Result<(), Stop> {
        for line in source.split(b'\n') {
            meter.step()?;
            let line = line.map_err(|error| Stop::Broken(error.to_string()))?;
            let line = String::from_utf8_lossy(&line);
            let written = line.trim();
            // A relative line is not a URL: this would make a list of any text.
            if written.starts_with("http") {
                self.add(Role::Page, written);
            }
        }
        Ok(())
    }

    fn xml(&mut self, source: impl BufRead, meter: &mut Meter) -> Result<(), Stop> {
        let mut reader = Reader::from_reader(source);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        let mut buffer = Vec::new();
        loop {
            meter.check()?;
            let event = reader.read_event_into(&mut buffer).map_err(|error| Stop::Broken(error.to_string()))?;
            match event {
                Event::Start(element) => {
                    self.open(&element);
                    if self.path.len() >= MAX_DEPTH {
                        return Err(Stop::Broken(format!("nested more than {MAX_DEPTH} deep")));
                    }
                    self.path.push(element.local_name().into_inner().to_ascii_lowercase());
                    self.text.clear();
                }
                Event::Empty(element) => self.open(&element),
                Event::End(_) => {
                    self.close();
                    self.path.pop();
                    self.text.clear();
                }
                Event::Text(text) => self.push(&text),
                Event::CData(text) => self.push(&text),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(letter)) => self.push(letter.encode_utf8(&mut [0; 4])),
                    _ => self.push(resolve_xml_entity(&reference).unwrap_or_default()),
                },
                Event::Eof => return Ok(()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
            buffer.clear();
        }
    }

    /// Keeps the text of an element, as far as it can be a URL.
    fn push(&mut self, piece: &str) {
        if self.text.len() <= MAX_URL_BYTES {
            self.text.push_str(&piece[..piece.floor_char_boundary(2 * MAX_URL_BYTES)]);
        }
    }

    /// Links that stand in attributes: Atom's `<link href>` of an entry.
    fn open(&mut self, element: &BytesStart<'_>) {
        if element.local_name().into_inner() != "link" || self.path.last().is_none_or(|parent| parent != "entry") {
            return;
        }
        let attribute = |name: &str| {
            let found = element.html_attributes().filter_map(Result::ok).find(|found| found.key.into_inner() == name);
            found.map(|found| {
                unescape(&found.value).map_or_else(|_| found.value.to_string(), |value| value.into_owned())
            })
        };
        // RFC 4287 section 4.2.7.2: without a relation it is "alternate".
        if attribute("rel").is_none_or(|relation| relation == "alternate")
            && let Some(href) = attribute("href")
        {
            self.add(Role::Page, &href);
        }
    }

    /// Links that are the text of an element.
    fn close(&mut self) {
        let [.., parent, name] = self.path.as_slice() else { return };
        let role = match (parent.as_str(), name.as_str()) {
            ("url", "loc") | ("item", "link") => Role::Page,
            ("sitemap", "loc") => Role::List,
            _ => return,
        };
        let text = std::mem::take(&mut self.text);
        self.add(role, text.trim());
    }

    fn add(&mut self, role: Role, written: &str) {
        if written.is_empty() || written.len() > MAX_URL_BYTES {
            return;
        }
        let Some(url) = absolute(written, &self.base) else { return };
        if self.seen.contains(&url) {
            return;
        }
        if self.seen.len() == MAX_LIST_URLS {
            self.listing.cut += 1;
            return;
        }
        self.seen.insert(url.clone());
        match role {
            Role::Page => self.listing.pages.push(url),
            Role::List => self.listing.lists.push(url),
        }
    }
}

#[cfg(test)]
mod tests;
