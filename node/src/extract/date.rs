//! Dates as people write them, brought into the form of RFC 3339.
//!
//! Nothing is guessed: `3/4/2024` is a date of its own in two parts of the world, so it is none here; a `format` says which.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::{rfc2822, strtime};

/// Longest text that can be a date, bytes.
const MAX_BYTES: usize = 128;

/// Ways to write a date whose order cannot be mistaken.
const FORMS: &[&str] = &[
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d %B %Y",
    "%d %b %Y",
    "%d. %B %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%B %d %Y",
    "%b %d %Y",
    "%d-%b-%Y",
    "%A, %d %B %Y",
    "%a, %d %b %Y",
    "%A, %B %d, %Y",
    "%a, %b %d, %Y",
];

/// Times that may follow a date.
const TIMES: &[&str] = &["%H:%M", "%H:%M:%S", "%I:%M %p", "%H:%M %z", "%H:%M:%S %z"];

/// The date in `text`: a date, a date with its time, or, with its offset known, a time in UTC.
pub(super) fn parse(text: &str, format: Option<&str>) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    match format {
        Some(format) => with_format(text, format),
        None => standard(text).or_else(|| in_words(text)),
    }
}

/// Whether `format` can be followed; the message says what is wrong with it.
pub(crate) fn check_format(format: &str) -> Result<(), String> {
    let example = DateTime::constant(2024, 1, 15, 10, 30, 0, 0).in_tz("UTC").map_err(|error| error.to_string())?;
    let written = strtime::format(format, &example).map_err(|error| error.to_string())?;
    match with_format(&written, format) {
        Some(_) => Ok(()),
        None => Err("it holds no full date; year, month and day are needed".to_owned()),
    }
}

/// ISO 8601 and RFC 2822.
fn standard(text: &str) -> Option<String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.to_string());
    }
    if text.contains(':') {
        if let Ok(time) = text.parse::<DateTime>() {
            return Some(time.to_string());
        }
        return rfc2822::parse(text).ok().map(|moment| moment.timestamp().to_string());
    }
    text.parse::<Date>().ok().map(|date| date.to_string())
}

/// A date in one of the known forms, with or without a time.
fn in_words(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    FORMS.iter().find_map(|form| {
        with_format(&text, form).or_else(|| {
            if !text.contains(':') {
                return None;
            }
            TIMES.iter().find_map(|time| {
                with_format(&text, &format!("{form} {time}")).or_else(|| with_format(&text, &format!("{form}, {time}")))
            })
        })
    })
}

fn with_format(text: &str, format: &str) -> Option<String> {
    let parts = strtime::parse(format, text).ok()?;
    if let Ok(moment) = parts.to_timestamp() {
        return Some(moment.to_string());
    }
    if parts.hour().is_some() {
        return parts.to_datetime().ok().map(|time| time.to_string());
    }
    parts.to_date().ok().map(|date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2024-01-15", "2024-01-15"),
            (" 2024-01-15\n", "2024-01-15"),
            ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z"),
            ("2024-01-15T10:30:00+02:00", "2024-01-15T08:30:00Z"),
            ("2024-01-15T10:30", "2024-01-15T10:30:00"),
            ("2024-01-15 10:30:05", "2024-01-15T10:30:05"),
            ("Mon, 15 Jan 2024 10:30:00 +0100", "2024-01-15T09:30:00Z"),
            ("Mon, 15 Jan 2024 10:30:00 GMT", "2024-01-15T10:30:00Z"),
            ("2024/01/15", "2024-01-15"),
            ("15.1.2024", "2024-01-15"),
            ("15 January 2024", "2024-01-15"),
            ("15 Jan 2024", "2024-01-15"),
            ("January  15, 2024", "2024-01-15"),
            ("Jan 5, 2024", "2024-01-05"),
            ("Monday, January 15, 2024", "2024-01-15"),
            ("15 January 2024 10:30", "2024-01-15T10:30:00"),
            ("January 15, 2024, 10:30 pm", "2024-01-15T22:30:00"),
        ] {
            assert_eq!(parse(text, None).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_or_could_be_two_is_none() {
        for text in ["", "yesterday", "3/4/2024", "2024", "2024-13-01", "31 February 2024", "January", &"1".repeat(400)]
        {
            assert_eq!(parse(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_format_says_how_it_is_written() {
        for (text, format, expected) in [
            ("3/4/2024", "%d/%m/%Y", Some("2024-04-03")),
            ("3/4/2024", "%m/%d/%Y", Some("2024-03-04")),
            ("2024-01-15", "%d/%m/%Y", None),
            ("15.01.24 10:30", "%d.%m.%y %H:%M", Some("2024-01-15T10:30:00")),
            ("1705314600", "%s", Some("2024-01-15T10:30:00Z")),
        ] {
            assert_eq!(parse(text, Some(format)).as_deref(), expected, "{text} {format}");
        }
        for format in ["%d/%m/%Y", "%s", "%Y-%m-%dT%H:%M:%S%z"] {
            assert_eq!(check_format(format), Ok(()), "{format}");
        }
        for format in ["%Y", "today", "%", "%d.%m."] {
            assert!(check_format(format).is_err(), "{format}");
        }
    }
}
