//! `Range: bytes=` (RFC 9110 section 14): one range; several at once are answered with the whole file, as the RFC allows.

use crate::gateway::problem::{Kind, Problem};
use http::HeaderMap;
use http::header::{CONTENT_RANGE, RANGE};
use std::ops::Range;

/// The range that is asked for of a file of `bytes`; `None` for the whole.
pub(super) fn of(headers: &HeaderMap, bytes: u64) -> Result<Option<Range<u64>>, Problem> {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    // What is no range at all is ignored, and so is a unit that is not known.
    let Some((from, to)) = text.trim().strip_prefix("bytes=").and_then(|span| span.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let span = match (from.trim(), to.trim()) {
        ("", last) => number(last).map(|last| bytes.saturating_sub(last)..bytes),
        (first, "") => number(first).map(|first| first..bytes),
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(first..last.saturating_add(1).min(bytes)),
            _ => None,
        },
    };
    match span {
        None => Ok(None),
        Some(span) if span.start < span.end => Ok(Some(span)),
        Some(_) => {
            let detail = format!("the file has {bytes} bytes, and the range lies behind its end");
            Err(Problem::new(Kind::RangeNotSatisfiable, detail).with(CONTENT_RANGE, &format!("bytes */{bytes}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Range<u64>>, ()> {
        let headers = HeaderMap::from_iter([(RANGE, text.parse().expect("value"))]);
        of(&headers, 10).map_err(|_| ())
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (text, span) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=7-", 7..10),
            ("bytes=-3", 7..10),
            ("bytes=5-99", 5..10),
            ("bytes=-99", 0..10),
        ] {
            assert_eq!(read(text), Ok(Some(span)), "{text}");
        }
        for ignored in ["bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes", "bytes=+1-2", "bytes=-"] {
            assert_eq!(read(ignored), Ok(None), "{ignored}");
        }
        for behind in ["bytes=10-", "bytes=11-12", "bytes=-0"] {
            assert_eq!(read(behind), Err(()), "{behind}");
        }
    }
}
