//! `spec.politeness.windows`: times of the day, on days of the week, in a time zone.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use scrapering_crds::job::{DaySpec, WindowSpec};

use super::report::{Faults, Place, excerpt};

/// One window.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The days on which it begins; empty for all.
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Window {
    /// The window that was written, unless something is wrong with it.
    pub(super) fn read(written: &WindowSpec, at: &Place, faults: &mut Faults) -> Option<Self> {
        let from = time(&written.from, &at.field("from"), faults);
        let to = time(&written.to, &at.field("to"), faults);
        // As it is spelt in the database: an API server does not know `europe/madrid`.
        let is_spelt = |zone: &TimeZone| zone.iana_name() == Some(written.time_zone.as_str());
        let zone = TimeZone::get(&written.time_zone).ok().filter(is_spelt);
        if zone.is_none() {
            let shown = excerpt(&written.time_zone);
            faults.add(
                &at.field("timeZone"),
                format!("`{shown}` is no time zone; use a name such as Europe/Madrid or UTC"),
            );
        }
        let mut days: Vec<Weekday> = written.days.iter().copied().map(weekday).collect();
        days.dedup();
        if days.len() > 7 {
            faults.add(&at.field("days"), "has more than seven days");
        }
        Some(Self { days, from: from?, to: to?, zone: zone? })
    }

    /// Whether it is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let (today, time) = (local.weekday(), local.time());
        if self.from < self.to {
            return self.begins_on(today) && self.from <= time && time < self.to;
        }
        // It goes on until the next day.
        let yesterday = local.date().saturating_sub(1.day()).weekday();
        (self.begins_on(today) && self.from <= time) || (self.begins_on(yesterday) && time < self.to)
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&day)
    }
}

/// Whether pages may be fetched at `now`.
#[must_use]
pub fn any_is_open(windows: &[Window], now: Timestamp) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.is_open(now))
}

fn time(text: &str, at: &Place, faults: &mut Faults) -> Option<Time> {
    let read = || {
        let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5)?;
        let digits =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i8>().ok()).flatten();
        Time::new(digits(hour)?, digits(minute)?, 0, 0).ok()
    };
    let time = read();
    if time.is_none() {
        faults.add(at, format!("`{}` is no time of the day; write hours and minutes such as 20:00", excerpt(text)));
    }
    time
}

fn weekday(day: DaySpec) -> Weekday {
    match day {
        DaySpec::Mon => Weekday::Monday,
        DaySpec::Tue => Weekday::Tuesday,
        DaySpec::Wed => Weekday::Wednesday,
        DaySpec::Thu => Weekday::Thursday,
        DaySpec::Fri => Weekday::Friday,
        DaySpec::Sat => Weekday::Saturday,
        DaySpec::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[DaySpec], from: &str, to: &str, zone: &str) -> Window {
        let written =
            WindowSpec { days: days.into(), from: from.to_owned(), to: to.to_owned(), time_zone: zone.to_owned() };
        Window::read(&written, &Place::root("windows"), &mut Faults::default()).expect("a window")
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = window(&[DaySpec::Fri], "20:00", "06:00", "UTC");
        for (text, open) in [
            ("2026-11-20T19:59:59Z", false),
            ("2026-11-20T20:00:00Z", true),
            ("2026-11-21T05:59:59Z", true),
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-21T20:00:00Z", false),
            ("2026-11-20T05:00:00Z", false),
        ] {
            assert_eq!(night.is_open(moment(text)), open, "{text}");
        }
    }

    #[test]
    fn a_window_is_told_in_its_own_time_zone_also_when_the_clocks_change() {
        let morning = window(&[], "08:00", "09:00", "Europe/Madrid");
        for (text, open) in [
            ("2026-07-01T06:30:00Z", true),
            ("2026-07-01T07:30:00Z", false),
            ("2026-12-01T07:30:00Z", true),
            ("2026-12-01T06:30:00Z", false),
        ] {
            assert_eq!(morning.is_open(moment(text)), open, "{text}");
        }
    }

    #[test]
    fn without_windows_it_is_always_open() {
        assert!(any_is_open(&[], moment("2026-07-01T06:30:00Z")));
    }
}
