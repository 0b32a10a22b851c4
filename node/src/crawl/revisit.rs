//! Pages that are visited again: what a host is told of what is known, and what an answer makes of it.
//!
//! What is compared are a page's items, if it has any: a page with the same items is the same to whoever reads them, however
//! many dates, counters and tokens its bytes carry. Of a page without items, such as a list of links or a sitemap, it is the
//! bytes.

use super::worker::Visit;
use super::{Crawl, dedup};
use crate::fetch::Fetched;
use scrapering_core::frontier::history::{History, Sight, Validators};
use scrapering_core::job::ValidatedJob;
use scrapering_core::job::recrawl::Emit;
use serde_json::{Map, Value};

/// `304 Not Modified`.
const NOT_MODIFIED: u16 = 304;

/// What a page is to its readers.
pub(super) enum Seen {
    /// As it was, and they need not be told.
    AsBefore(Box<History>),
    /// To be told; with what is remembered of it, if the job visits pages again.
    New(Option<Box<History>>),
}

/// What the host is told of the page, if it is asked whether that has changed.
pub(super) fn conditions<'a>(job: &ValidatedJob, visit: &'a Visit) -> Option<&'a Validators> {
    let known = &visit.history.as_deref()?.validators;
    let asks = job.recrawl.is_some_and(|recrawl| recrawl.conditional);
    (asks && *known != Validators::default()).then_some(known)
}

/// What is remembered after an answer that says that nothing has changed; `None` if this one does not, or was not asked.
pub(super) fn not_modified(crawl: &Crawl, job: &ValidatedJob, visit: &Visit, status: u16) -> Option<Box<History>> {
    let (recrawl, history) = (job.recrawl.as_ref()?, visit.history.as_deref()?);
    let is_told = status == NOT_MODIFIED && conditions(job, visit).is_some();
    is_told.then(|| Box::new(history.after(recrawl, Sight::Unchanged, crawl.driver.clock().wall_ms())))
}

/// What a page with these items is.
pub(super) fn seen(
    crawl: &Crawl,
    job: &ValidatedJob,
    visit: &Visit,
    fetched: &Fetched,
    items: &[Map<String, Value>],
) -> Seen {
    let Some(recrawl) = &job.recrawl else { return Seen::New(None) };
    let (content, now_ms) = (content_of(items, &fetched.body), crawl.driver.clock().wall_ms());
    let validators = fetched.headers.validators.clone();
    let Some(before) = visit.history.as_deref() else {
        return Seen::New(Some(Box::new(History::first(recrawl, validators, content, now_ms))));
    };
    let is_new = recrawl.emit == Emit::All || content != before.content;
    let history = Box::new(before.after(recrawl, Sight::Page { validators, content }, now_ms));
    if is_new { Seen::New(Some(history)) } else { Seen::AsBefore(history) }
}

/// Whether a page of which this is remembered now is as the visit before found it.
pub(super) fn is_same(visit: &Visit, now: Option<&History>) -> bool {
    visit.history.as_deref().zip(now).is_some_and(|(before, now)| now.is_as(before))
}

fn content_of(items: &[Map<String, Value>], body: &[u8]) -> [u8; 20] {
    if items.is_empty() {
        return dedup::digest_of(&[b"body", body]);
    }
    dedup::digest_of(&[b"items", &serde_json::to_vec(items).expect("items are JSON")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(title: &str) -> Map<String, Value> {
        Map::from_iter([("title".to_owned(), title.into())])
    }

    #[test]
    fn of_pages_with_items_these_are_compared_and_of_others_the_bytes() {
        assert_eq!(content_of(&[item("a")], b"today"), content_of(&[item("a")], b"tomorrow"));
        assert_ne!(content_of(&[item("a")], b"today"), content_of(&[item("b")], b"today"));
        assert_ne!(content_of(&[item("a"), item("b")], b""), content_of(&[item("b"), item("a")], b""));
        assert_eq!(content_of(&[], b"links"), content_of(&[], b"links"));
        assert_ne!(content_of(&[], b"links"), content_of(&[], b"more links"));
    }
}
