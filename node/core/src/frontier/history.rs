//! What is remembered of a page for its next visit; part of its record, and only in jobs that visit pages again.

use super::record::{Counters, FetchedPage, PageResult, UrlRecord, UrlState};
use crate::job::recrawl::Recrawl;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest validator that is kept, bytes; a page with a longer one is asked for without it.
pub const VALIDATOR_BYTES_MAX: usize = 512;

/// What a host said of a page, to be asked with (RFC 9110, sections 8.8.2 and 8.8.3), as it wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`, strong or weak.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Validators {
    /// These, without those that are too long to be kept.
    #[must_use]
    pub fn bounded(self) -> Self {
        let short = |text: &String| text.len() <= VALIDATOR_BYTES_MAX;
        Self { etag: self.etag.filter(short), last_modified: self.last_modified.filter(short) }
    }
}

/// What a visit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The page; its content stands for what it shows.
    Page {
        /// What the host says of it.
        validators: Validators,
        /// Equal contents are no change.
        content: [u8; 20],
    },
    /// The host says that the page is as it was (status 304).
    Unchanged,
    /// The host says that the page is gone (status 404 or 410).
    Gone,
    /// Nothing was learned: an error, or it may not be asked for now.
    Nothing,
}

/// What is remembered of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What the host said of what was seen last.
    pub validators: Validators,
    /// Stands for what was seen last.
    pub content: [u8; 20],
    /// From the last visit to the next, milliseconds.
    pub interval_ms: u64,
    /// When the next visit is due, milliseconds since 1970.
    pub next_ms: u64,
    /// When what is there was first seen, milliseconds since 1970.
    pub changed_ms: u64,
    /// Since when the host says that there is no such page, milliseconds since 1970.
    pub gone_ms: Option<u64>,
    /// Visits so far that found the page.
    pub visits: u32,
    /// Of these, how many found what was there before.
    pub not_modified: u32,
    /// What the record counted for that this one took the place of.
    pub replaced: Counted,
}

impl History {
    /// After the first visit.
    #[must_use]
    pub fn first(recrawl: &Recrawl, validators: Validators, content: [u8; 20], now_ms: u64) -> Self {
        let interval_ms = ms(recrawl.min);
        Self {
            validators: validators.bounded(),
            content,
            interval_ms,
            next_ms: now_ms.saturating_add(interval_ms),
            changed_ms: now_ms,
            gone_ms: None,
            visits: 1,
            not_modified: 0,
            replaced: Counted::default(),
        }
    }

    /// After another visit. One that found no page puts the next one off as one that found no change.
    #[must_use]
    pub fn after(&self, recrawl: &Recrawl, sight: Sight, now_ms: u64) -> Self {
        let changed = matches!(&sight, Sight::Page { content, .. } if *content != self.content);
        let found = matches!(sight, Sight::Page { .. } | Sight::Unchanged);
        let gone_ms = match sight {
            Sight::Page { .. } | Sight::Unchanged => None,
            Sight::Gone => self.gone_ms.or(Some(now_ms)),
            Sight::Nothing => self.gone_ms,
        };
        let (validators, content) = match sight {
            Sight::Page { validators, content } => (validators.bounded(), content),
            Sight::Unchanged | Sight::Gone | Sight::Nothing => (self.validators.clone(), self.content),
        };
        let interval_ms = ms(recrawl.interval_after(Duration::from_millis(self.interval_ms), changed));
        Self {
            validators,
            content,
            interval_ms,
            next_ms: now_ms.saturating_add(interval_ms),
            changed_ms: if changed { now_ms } else { self.changed_ms },
            gone_ms,
            visits: self.visits.saturating_add(u32::from(found)),
            not_modified: self.not_modified.saturating_add(u32::from(found && !changed)),
            replaced: self.replaced,
        }
    }

    /// Whether the visit after which this is remembered found the page as it was before, when `before` was.
    #[must_use]
    pub const fn is_as(&self, before: &Self) -> bool {
        self.not_modified > before.not_modified
    }
}

/// What a page's result adds to the counters of its job, and its place among the results.
///
/// Of a page that is not in memory its owner knows only the version of the record. If an earlier owner's last change comes
/// after that was read, the new record tells what the owner has counted for the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// As in [`UrlState::Closed`]; 0: nothing is counted yet.
    pub sequence: u64,
    /// Items.
    pub items: u32,
    /// Items that were dropped.
    pub item_errors: u32,
    /// Bytes.
    pub bytes: u64,
    /// Visits that found the page as it was before.
    pub not_modified: u32,
}

impl Counted {
    /// What `page` counts for.
    #[must_use]
    pub fn of(sequence: u64, page: &FetchedPage) -> Self {
        Self {
            sequence,
            items: page.items,
            item_errors: page.item_errors,
            bytes: page.bytes,
            not_modified: page.history.as_ref().map_or(0, |history| history.not_modified),
        }
    }
}

impl Counters {
    /// Counts a page's result in the place of the one before.
    pub(super) fn replace(&mut self, before: &Counted, after: &Counted) {
        let Self { items, item_errors, bytes, not_modified, .. } = self;
        for (counter, old, new) in [
            (items, before.items.into(), after.items.into()),
            (item_errors, before.item_errors.into(), after.item_errors.into()),
            (bytes, before.bytes, after.bytes),
            (not_modified, before.not_modified.into(), after.not_modified.into()),
        ] {
            *counter = counter.saturating_sub(old) + new;
        }
    }
}

impl UrlRecord {
    /// What is remembered of the page, if it was fetched and is to be visited again.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        match &self.state {
            UrlState::Closed { result: PageResult::Fetched(page), .. } => page.history.as_deref(),
            UrlState::Closed { .. } | UrlState::Open => None,
        }
    }

    /// This record as it is to be written over itself, with a small change: it tells what it takes the place of.
    #[must_use]
    pub fn replacing_itself(mut self) -> Self {
        if let UrlState::Closed { sequence, result: PageResult::Fetched(page) } = &mut self.state {
            let counted = Counted::of(*sequence, page);
            page.history.iter_mut().for_each(|history| history.replaced = counted);
        }
        self
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::recrawl::Emit;

    const RECRAWL: Recrawl = Recrawl {
        conditional: true,
        min: Duration::from_millis(100),
        max: Duration::from_millis(400),
        incr_permille: 1_000,
        decr_permille: 500,
        emit: Emit::All,
    };

    fn etag(text: &str) -> Validators {
        Validators { etag: Some(text.to_owned()), last_modified: None }
    }

    fn page(tag: &str, content: u8) -> Sight {
        Sight::Page { validators: etag(tag), content: [content; 20] }
    }

    #[test]
    fn a_visit_that_finds_nothing_new_keeps_what_is_known_and_puts_the_next_one_off() {
        let first = History::first(&RECRAWL, etag("a"), [1; 20], 1_000);
        assert_eq!((first.next_ms, first.not_modified), (1_100, 0));
        let told = first.after(&RECRAWL, Sight::Unchanged, 1_100);
        assert_eq!((told.next_ms, told.not_modified, &told.validators), (1_300, 1, &etag("a")));
        let seen = told.after(&RECRAWL, page("b", 1), 1_300);
        assert_eq!((seen.next_ms, seen.not_modified, seen.changed_ms), (1_700, 2, 1_000));
        assert_eq!(seen.validators, etag("b"), "the same content under a new name is asked for by the new name");
        let changed = seen.after(&RECRAWL, page("c", 2), 1_700);
        assert_eq!((changed.interval_ms, changed.not_modified, changed.changed_ms), (200, 2, 1_700));
        assert_eq!(changed.visits, 4);
    }

    #[test]
    fn a_visit_that_finds_no_page_leaves_what_was_seen_and_puts_the_next_one_off() {
        let first = History::first(&RECRAWL, etag("a"), [1; 20], 1_000);
        let failed = first.after(&RECRAWL, Sight::Nothing, 1_100);
        assert_eq!(failed, History { interval_ms: 200, next_ms: 1_300, ..first.clone() });
        let gone = failed.after(&RECRAWL, Sight::Gone, 1_300).after(&RECRAWL, Sight::Nothing, 1_700);
        assert_eq!((gone.gone_ms, gone.visits, gone.next_ms), (Some(1_300), 1, 2_100));
        assert_eq!(gone.after(&RECRAWL, Sight::Gone, 2_100).gone_ms, Some(1_300), "it was gone before");
        assert_eq!(gone.after(&RECRAWL, Sight::Unchanged, 2_100).gone_ms, None, "it is there again");
    }

    #[test]
    fn a_validator_without_measure_is_not_kept() {
        let long = Validators { etag: Some("x".repeat(VALIDATOR_BYTES_MAX + 1)), last_modified: Some("y".to_owned()) };
        let kept = History::first(&RECRAWL, long, [0; 20], 0).validators;
        assert_eq!(kept, Validators { etag: None, last_modified: Some("y".to_owned()) });
    }
}
