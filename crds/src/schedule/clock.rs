//! Times of a cron schedule: which one is due, and when the next one comes. Whose clock is asked is given, never read.
//!
//! The operator and the ring keep their schedules by it, so that the same text means the same times at both.

use cronexpr::{Crontab, parse_crontab};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

/// First look back; it is doubled until a time is found.
const FIRST_LOOK_S: i64 = 60;
/// Most times that are gone through after the first one that is found: a week of minutes.
const MOST_TIMES: usize = 10_080;

/// A schedule that cannot be kept. Its author is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Not a schedule.
    #[error("spec.schedule: \"{schedule}\" is not a cron schedule: {why}")]
    Schedule {
        /// As it was written.
        schedule: String,
        /// What the parser found.
        why: String,
    },
    /// Not a time zone.
    #[error("spec.timeZone: \"{0}\" is not a time zone of the IANA database, such as Europe/Berlin")]
    TimeZone(String),
}

impl Error {
    /// The same in one CamelCase word.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Schedule { .. } => "InvalidSchedule",
            Self::TimeZone(_) => "UnknownTimeZone",
        }
    }
}

/// A schedule on somebody's clock.
#[derive(Clone, Debug)]
pub struct Clock(Crontab);

impl Clock {
    /// Reads five fields or a word such as `@daily`, on the clock of `zone`; UTC without one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(schedule: &str, zone: Option<&str>) -> Result<Self, Error> {
        let zone = zone.unwrap_or("UTC");
        if TimeZone::get(zone).ok().and_then(|found| found.iana_name().map(|name| name == zone)) != Some(true) {
            return Err(Error::TimeZone(zone.to_owned()));
        }
        let fields = match schedule {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            fields => fields,
        };
        let refused = |why: String| Error::Schedule { schedule: schedule.chars().take(128).collect(), why };
        if fields.split_whitespace().count() != 5 {
            return Err(refused("it must have five fields, or be a word such as @daily".to_owned()));
        }
        parse_crontab(&format!("{fields} {zone}")).map(Self).map_err(|error| refused(error.to_string()))
    }

    /// The first time after `at`. None is left at the end of the calendar, or for the thirtieth of February.
    pub fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.0.find_next(at).ok()?;
        Some(next.timestamp())
    }

    /// The last time after `since` and not after `now`.
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let mut look_s = FIRST_LOOK_S;
        loop {
            let from = Timestamp::from_second(now.as_second().saturating_sub(look_s)).ok().filter(|from| *from > since);
            let first = self.next(from.unwrap_or(since)).filter(|time| *time <= now);
            if let Some(first) = first {
                let later = std::iter::successors(Some(first), |time| self.next(*time).filter(|next| *next <= now));
                return later.take(MOST_TIMES).last();
            }
            from?;
            look_s = look_s.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn due(schedule: &str, zone: Option<&str>, since: &str, now: &str) -> Option<String> {
        let clock = Clock::new(schedule, zone).expect("a schedule");
        clock.due(at(since), at(now)).map(|time| time.to_string())
    }

    #[test]
    fn the_last_time_that_was_missed_is_due_and_only_that() {
        let table = [
            ("0 4 * * *", "2026-01-01T00:00:00Z", "2026-01-01T03:59:59Z", None),
            ("0 4 * * *", "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z", Some("2026-01-01T04:00:00Z")),
            ("0 4 * * *", "2026-01-01T04:00:00Z", "2026-01-01T23:00:00Z", None),
            ("0 4 * * *", "2026-01-01T00:00:00Z", "2026-03-09T03:00:00Z", Some("2026-03-08T04:00:00Z")),
            ("*/5 * * * *", "2020-01-01T00:00:00Z", "2026-01-01T00:07:00Z", Some("2026-01-01T00:05:00Z")),
            ("* 3 * * *", "2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z", Some("2026-01-01T03:59:00Z")),
            ("@yearly", "2020-06-01T00:00:00Z", "2026-05-01T00:00:00Z", Some("2026-01-01T00:00:00Z")),
            ("@weekly", "2026-01-01T00:00:00Z", "2026-01-06T00:00:00Z", Some("2026-01-04T00:00:00Z")),
        ];
        for (schedule, since, now, expected) in table {
            assert_eq!(due(schedule, None, since, now).as_deref(), expected, "{schedule} {since} {now}");
        }
    }

    #[test]
    fn the_clock_of_the_zone_counts_also_when_it_changes() {
        let berlin = Some("Europe/Berlin");
        let winter = due("30 4 * * *", berlin, "2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z");
        assert_eq!(winter.as_deref(), Some("2026-01-01T03:30:00Z"));
        let summer = due("30 4 * * *", berlin, "2026-07-01T00:00:00Z", "2026-07-01T12:00:00Z");
        assert_eq!(summer.as_deref(), Some("2026-07-01T02:30:00Z"));
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_a_reason() {
        for schedule in ["", "* * * *", "* * * * * *", "61 * * * *", "@reboot", "0 0 * * * Europe/Berlin"] {
            let error = Clock::new(schedule, None).expect_err(schedule);
            assert_eq!(error.reason(), "InvalidSchedule", "{error}");
        }
        let error = Clock::new("0 4 * * *", Some("Europe/Nowhere")).expect_err("no such zone");
        assert_eq!(error.reason(), "UnknownTimeZone");
    }
}
