//! Which bodies the registers refer to: the one place that knows every kind of record.
//!
//! Whoever writes a reference has put the body into the record's partition first, and not long before. So a body
//! to which no register of its partition refers, and which was put long ago, is needed by nobody.

use crate::body::BodyHash;
use crate::frontier::keys::Name;
use crate::frontier::record::{Items, PageResult, UrlRecord, UrlState, decode};
use crate::id::Key;
use crate::{file, kv, lock};

/// A register of which this program does not know what it refers to: another version wrote it, or it is damaged.
/// As long as there is one in a partition, no body of the partition may be deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the register {key:?} holds something that this version of scrapering does not know")]
pub struct UnknownRecord {
    /// Its key.
    pub key: Key,
}

/// The bodies to which the register `key` refers with its `content`.
///
/// # Errors
/// [`UnknownRecord`].
pub fn references(key: &Key, content: &[u8]) -> Result<Vec<BodyHash>, UnknownRecord> {
    if [kv::PREFIX, lock::PREFIX].iter().any(|prefix| key.name.starts_with(prefix)) {
        return Ok(Vec::new());
    }
    let unknown = || UnknownRecord { key: key.clone() };
    if key.name.starts_with(file::PREFIX) {
        let chunk: file::Chunk = file::decode(content).map_err(|_| unknown())?;
        return Ok(vec![chunk.hash]);
    }
    match Name::parse(key).ok_or_else(unknown)? {
        Name::Owner | Name::Job(_) | Name::Budget(_) | Name::Host(_) | Name::Schedule(_) | Name::OptOuts => {
            Ok(Vec::new())
        }
        Name::Link(..) | Name::Content(..) | Name::Delivery(_) | Name::Jar(..) => Ok(Vec::new()),
        Name::Output(..) | Name::Export(..) => Ok(Vec::new()),
        Name::Url(..) => {
            let record: UrlRecord = decode(content).map_err(|_| unknown())?;
            let UrlState::Closed { result: PageResult::Fetched(page), .. } = record.state else {
                return Ok(Vec::new());
            };
            let items = match page.content {
                Items::Body(hash) => Some(hash),
                Items::Inline(_) => None,
            };
            Ok(items.into_iter().chain(page.stored.map(|stored| stored.body)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::record::{Attempts, FetchedPage, JobId, StoredResponse, UrlHash, Way, encode};
    use crate::id::Partition;

    fn key(name: Name) -> Key {
        name.key(Partition(3))
    }

    fn page(content: Items) -> UrlRecord {
        let page = FetchedPage {
            status: 200,
            fetched_ms: 1,
            attempts: 1,
            bytes: 1,
            items: 1,
            item_errors: 0,
            content,
            stored: None,
            history: None,
        };
        let state = UrlState::Closed { sequence: 1, result: PageResult::Fetched(page) };
        UrlRecord {
            url: "http://shop.example/".to_owned(),
            depth: 0,
            way: Way::default(),
            admitted: false,
            attempts: Attempts::default(),
            state,
        }
    }

    #[test]
    fn a_page_refers_to_the_body_with_its_items() {
        let (url, hash) = (key(Name::Url(JobId([1; 16]), UrlHash([2; 20]))), BodyHash([7; 32]));
        assert_eq!(references(&url, &encode(&page(Items::Body(hash)))), Ok(vec![hash]));
        assert_eq!(references(&url, &encode(&page(Items::Inline(String::new())))), Ok(vec![]));
        assert_eq!(
            references(&url, &encode(&UrlRecord { state: UrlState::Open, ..page(Items::Body(hash)) })),
            Ok(vec![])
        );
    }

    #[test]
    fn a_page_that_is_kept_refers_to_its_own_body_too() {
        let (url, items, body) =
            (key(Name::Url(JobId([1; 16]), UrlHash([2; 20]))), BodyHash([7; 32]), BodyHash([8; 32]));
        let mut record = page(Items::Body(items));
        if let UrlState::Closed { result: PageResult::Fetched(page), .. } = &mut record.state {
            let (protocol, headers) = ("HTTP/1.1".to_owned(), Vec::new());
            page.stored = Some(StoredResponse { body, read_ms: 0, protocol, address: None, headers });
        }
        assert_eq!(references(&url, &encode(&record)), Ok(vec![items, body]));
    }

    #[test]
    fn records_of_other_kinds_refer_to_nothing() {
        let job = JobId([1; 16]);
        for name in
            [Name::Owner, Name::Job(job), Name::Budget(job), Name::Host([3; 20]), Name::Link(job, UrlHash([2; 20]))]
        {
            assert_eq!(references(&key(name), b"whatever it holds"), Ok(vec![]));
        }
        for name in ["kv/tenant/key", "lock/tenant/name"] {
            assert_eq!(references(&Key::new(Partition(3), name), b"a user's bytes"), Ok(vec![]));
        }
    }

    #[test]
    fn a_chunk_of_a_file_refers_to_its_body() {
        let upload = file::UploadId([5; 16]);
        let (tenant, name, hash) = ("team".to_owned(), "a".to_owned(), BodyHash([7; 32]));
        let chunk = file::Chunk { tenant, name, upload, stored_ms: 1, hash };
        let register = file::register(upload, 3);
        assert_eq!(references(&register, &file::encode(&chunk)), Ok(vec![hash]));
        assert_eq!(references(&register, b"\xff"), Err(UnknownRecord { key: register.clone() }));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let url = key(Name::Url(JobId([1; 16]), UrlHash([2; 20])));
        assert_eq!(references(&url, b"\xffa format of tomorrow"), Err(UnknownRecord { key: url.clone() }));
        let stranger = Key::new(Partition(3), b"a name of tomorrow".as_slice());
        assert_eq!(references(&stranger, b""), Err(UnknownRecord { key: stranger.clone() }));
    }
}
