//! How far a job is, on stderr: a bar on a terminal, a line every few seconds elsewhere.

use crate::crawl::jobs::{PageCounts, Phase};
use crate::gateway::object::StatusObject;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Over which the speed is taken.
const SPEED_WINDOW: Duration = Duration::from_secs(10);

/// Counts `entries` on the terminal, if it is one and `is_shown`: what is written to it itself is not disturbed.
pub(super) fn counter(entries: &str, is_shown: bool) -> ProgressBar {
    let target = match is_shown && std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template(&format!("{{spinner}} {{human_pos}} {entries}, {{per_sec}}"));
    // Whatever ends the work, what is said of it next has its line for itself.
    let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
    bar.set_style(style.expect("the template is fixed and correct"));
    bar
}

/// Shows how far a job is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    speed: Speed,
    last_line: Option<Instant>,
}

impl Progress {
    /// Begins to show.
    pub(super) fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is fixed and correct");
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Self { bar, speed: Speed::default(), last_line: None }
    }

    /// Shows a newer state.
    pub(super) fn update(&mut self, status: &StatusObject) {
        let now = Instant::now();
        let speed = self.speed.at(now, settled(&status.pages));
        let line = line(status, speed);
        match &self.bar {
            Some(bar) => {
                bar.set_length(status.pages.discovered.max(settled(&status.pages)));
                bar.set_position(settled(&status.pages));
                bar.set_message(line);
            }
            None if self.last_line.is_none_or(|last| now - last >= LINE_INTERVAL) => {
                self.last_line = Some(now);
                eprintln!("{line}");
            }
            None => {}
        }
    }

    /// Says something without disturbing the bar.
    pub(super) fn say(&self, sentence: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{sentence}")),
            None => eprintln!("{sentence}"),
        }
    }

    /// Leaves the last state standing.
    pub(super) fn stop(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Pages that need no more work, whatever became of them.
pub(super) fn settled(pages: &PageCounts) -> u64 {
    pages.discovered.saturating_sub(pages.queued + pages.in_flight)
}

fn line(status: &StatusObject, pages_per_second: f64) -> String {
    let pages = &status.pages;
    let phase = if status.phase == Phase::Running { String::new() } else { format!("{:?}: ", status.phase) };
    format!(
        "{phase}{}/{} pages, {pages_per_second:.1} pages/s, {} items, {} errors, {} skipped",
        settled(pages),
        pages.discovered,
        status.items,
        pages.failed,
        pages.skipped,
    )
}

/// Pages per second over the last seconds.
#[derive(Default)]
struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    fn at(&mut self, now: Instant, settled: u64) -> f64 {
        self.0.push_back((now, settled));
        while self.0.len() > 2 && self.0.front().is_some_and(|(then, _)| now - *then > SPEED_WINDOW) {
            self.0.pop_front();
        }
        let Some(&(then, before)) = self.0.front() else { return 0.0 };
        let seconds = (now - then).as_secs_f64();
        if seconds > 0.0 { settled.saturating_sub(before) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> StatusObject {
        StatusObject {
            phase: Phase::Running,
            reason: None,
            message: None,
            pages: PageCounts {
                discovered: 10,
                queued: 3,
                in_flight: 2,
                succeeded: 4,
                failed: 1,
                skipped: 6,
                not_modified: 0,
            },
            items: 8,
            item_errors: 0,
            bytes: 0,
            start_time: None,
            completion_time: None,
            outputs: Vec::new(),
            next_visit_time: None,
        }
    }

    #[test]
    fn the_line_names_pages_speed_items_errors_and_skipped() {
        assert_eq!(line(&status(), 1.25), "5/10 pages, 1.2 pages/s, 8 items, 1 errors, 6 skipped");
        let paused = StatusObject { phase: Phase::Paused, ..status() };
        assert!(line(&paused, 0.0).starts_with("Paused: 5/10 pages"));
    }

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let mut speed = Speed::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(speed.at(start, 0).abs() < 0.01);
        assert!((speed.at(at(2), 10) - 5.0).abs() < 0.01);
        assert!(speed.at(at(30), 10).abs() < 0.4);
        assert!(speed.at(at(45), 10).abs() < 0.01, "a pause brings the speed to nothing");
    }
}
