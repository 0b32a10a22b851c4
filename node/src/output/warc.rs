//! Pages as WARC 1.1 (ISO 28500:2017): each response as it was read, with its request and what the crawl knows of it.
//!
//! A file is a row of records, each compressed on its own (Annex D), so that a reader can begin at any of them; beside it
//! stands an index (CDXJ) that says where. A body that was written before is not written again: a `revisit` record
//! refers to the first one (section 6.7.2). Bodies are written decompressed; what a header said of the form in which
//! they travelled is kept under `X-Archive-Orig-`.

mod record;
mod series;

use std::collections::BTreeMap;

use bytes::Bytes;
use scrapering_core::frontier::record::JobId;
use url::Url;

use crate::crawl::jobs::{FetchedPage, StoredResponse};
use record::{Record, digest, record_id};
pub use series::{FOLDER, WarcSeries};

/// Bodies that are remembered, so that equal ones are not written again.
const REMEMBERED: usize = 100_000;
/// Headers that speak of the form in which a body travelled.
const OF_THE_JOURNEY: [&str; 3] = ["content-encoding", "transfer-encoding", "content-length"];
const SOFTWARE: &str = concat!("scrapering/", env!("CARGO_PKG_VERSION"));
/// The profile of a `revisit` record whose body is the same as an earlier one (section 6.7.2).
const SAME_BODY: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";

/// A file in the making, with its index.
pub struct WarcFile {
    job: JobId,
    name: String,
    user_agent: String,
    content: Vec<u8>,
    index: Vec<String>,
    pages: usize,
}

/// Bodies that were written, by SHA-256: which page showed them first.
#[derive(Default)]
pub struct Written(BTreeMap<String, First>);

#[derive(Clone)]
struct First {
    id: String,
    url: String,
    date: String,
}

impl WarcFile {
    /// A file called `name`; it begins with a `warcinfo` record that says whose pages follow and how they were asked for.
    #[must_use]
    pub fn new(job: JobId, name: &str, user_agent: &str, date: &str) -> Self {
        let mut file = Self {
            job,
            name: name.to_owned(),
            user_agent: user_agent.to_owned(),
            content: Vec::new(),
            index: Vec::new(),
            pages: 0,
        };
        let fields = format!(
            "software: {SOFTWARE}\r\nformat: WARC File Format 1.1\r\nconformsTo: http://bibnum.bnf.fr/WARC/WARC_ISO_28500_version1.1_latestdraft.pdf\r\n\
             http-header-user-agent: {user_agent}\r\nisPartOf: {job}\r\n"
        );
        let id = record_id(&[&job.0, b"warcinfo", name.as_bytes()]);
        let info = Record::new("warcinfo", &id, date)
            .with("WARC-Filename", name)
            .with("Content-Type", "application/warc-fields")
            .block(fields.into_bytes());
        file.content.extend(info.packed());
        file
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.len()
    }

    /// Pages so far.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Adds a page: its response, or a `revisit` if the body was written before, its request, and its metadata.
    pub fn add(&mut self, page: &FetchedPage, stored: &StoredResponse, body: &Bytes, written: &mut Written) {
        let payload = digest(body);
        let id = |kind: &[u8]| record_id(&[&self.job.0, page.id.as_bytes(), kind]);
        let (response_id, date) = (id(b"response"), stored.read_at.as_str());
        let head = response_head(page.status, stored, body.len());
        let about = |record: Record| match &stored.address {
            Some(address) => record.with("WARC-IP-Address", address),
            None => record,
        };
        let record = match written.0.get(&stored.sha256).filter(|_| !body.is_empty()) {
            Some(first) => about(Record::new("revisit", &response_id, date).with("WARC-Target-URI", &page.url))
                .with("WARC-Profile", SAME_BODY)
                .with("WARC-Refers-To", &format!("<{}>", first.id))
                .with("WARC-Refers-To-Target-URI", &first.url)
                .with("WARC-Refers-To-Date", &first.date)
                .with("WARC-Payload-Digest", &payload)
                .with("Content-Type", "application/http;msgtype=response")
                .block(head.into_bytes()),
            None => about(Record::new("response", &response_id, date).with("WARC-Target-URI", &page.url))
                .with("WARC-Payload-Digest", &payload)
                .with("Content-Type", "application/http;msgtype=response")
                .block([head.as_bytes(), body].concat()),
        };
        let (request_id, metadata_id) = (id(b"request"), id(b"metadata"));
        let packed = record.packed();
        self.index.push(index_line(&self.name, page, stored, &payload, record.kind, self.content.len(), packed.len()));
        self.content.extend(packed);
        let concurrent = |kind, id: &str| {
            Record::new(kind, id, date)
                .with("WARC-Target-URI", &page.url)
                .with("WARC-Concurrent-To", &format!("<{response_id}>"))
        };
        let request = concurrent("request", &request_id).with("Content-Type", "application/http;msgtype=request");
        self.content.extend(request.block(request_head(&page.url, &self.user_agent).into_bytes()).packed());
        let (depth, attempts, items) = (page.depth, page.attempts, page.items);
        let fields = format!("hopsFromSeed: {depth}\r\nattempts: {attempts}\r\nitems: {items}\r\n");
        let metadata = concurrent("metadata", &metadata_id).with("Content-Type", "application/warc-fields");
        self.content.extend(metadata.block(fields.into_bytes()).packed());
        self.pages += 1;
        if written.0.len() >= REMEMBERED {
            written.0.clear();
        }
        let first = First { id: response_id, url: page.url.clone(), date: stored.read_at.clone() };
        written.0.entry(stored.sha256.clone()).or_insert(first);
    }

    /// The file, and its index in order.
    #[must_use]
    pub fn finish(mut self) -> (Bytes, Bytes) {
        self.index.sort_unstable();
        (self.content.into(), self.index.concat().into_bytes().into())
    }
}

/// The head of a response, as it was but for the form in which the body travelled.
fn response_head(status: u16, stored: &StoredResponse, bytes: usize) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for [name, value] in &stored.headers {
        // A line break in a value would be another header.
        let value = value.replace(['\r', '\n'], " ");
        let prefix = if OF_THE_JOURNEY.contains(&name.as_str()) { "X-Archive-Orig-" } else { "" };
        head += &format!("{prefix}{name}: {value}\r\n");
    }
    head + &format!("Content-Length: {bytes}\r\n\r\n")
}

/// The head of the request; headers of the job's own are left out, because they may be its secrets.
fn request_head(url: &str, user_agent: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("GET {}{query} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {user_agent}\r\n\r\n", url.path())
}

/// A line of the index: the URL in the order of its domains, the moment, and where the record stands.
fn index_line(
    file: &str,
    page: &FetchedPage,
    stored: &StoredResponse,
    payload: &str,
    kind: &str,
    offset: usize,
    length: usize,
) -> String {
    let moment: String =
        stored.read_at.chars().take_while(|char| *char != '.').filter(char::is_ascii_digit).take(14).collect();
    let mime = match kind {
        "revisit" => "warc/revisit",
        _ => stored.content_type().unwrap_or("unk"),
    };
    let digest = payload.trim_start_matches("sha1:");
    let rest = serde_json::json!({
        "url": page.url, "mime": mime, "status": page.status.to_string(), "digest": digest,
        "length": length.to_string(), "offset": offset.to_string(), "filename": file,
    });
    format!("{} {moment} {rest}\n", sort_friendly(&page.url))
}

/// `https://www.shop.example:8080/a?b` as `example,shop)/a?b`, the key by which archives look up.
fn sort_friendly(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return url.to_owned() };
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let host = match url.host() {
        Some(url::Host::Domain(_)) => {
            let plain = host.strip_prefix("www.").unwrap_or(&host);
            plain.rsplit('.').collect::<Vec<_>>().join(",")
        }
        _ => host,
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{host}{port}){}{query}", url.path()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
