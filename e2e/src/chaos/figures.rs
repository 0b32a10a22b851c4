//! The figures of a chaos run, read off its history.

use super::history::{Call, Fault, History, Outcome};
use super::judge::Judgement;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Nanoseconds in a millisecond.
const MS: f64 = 1e6;

/// Everything as text, a line each.
pub fn text(history: &History, judgement: &Judgement) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes every word");
    let count = |outcome| judgement.outcomes.get(&outcome).copied().unwrap_or_default();
    let span_s = history.calls.iter().map(|call| call.end_ns).max().unwrap_or_default() as f64 / 1e9;
    line(format!(
        "calls: {} on {} keys in {span_s:.0} s ({:.0} a second): {} done, {} conflict, {} unknown, {} unavailable",
        history.calls.len(),
        judgement.keys,
        history.calls.len() as f64 / span_s.max(1.0),
        count(Outcome::Done),
        count(Outcome::Conflict),
        count(Outcome::Unknown),
        count(Outcome::Unavailable)
    ));
    let mut kinds: BTreeMap<&str, Vec<&Fault>> = BTreeMap::new();
    for fault in &history.faults {
        let kind = if fault.kind.starts_with("loss") { "loss" } else { &fault.kind };
        kinds.entry(kind).or_default().push(fault);
    }
    for (kind, faults) in kinds {
        line(of_kind(kind, &faults, &history.calls));
    }
    text
}

fn of_kind(kind: &str, faults: &[&Fault], calls: &[Call]) -> String {
    let mut words = format!("{kind}: {} times", faults.len());
    let first: Vec<f64> = faults.iter().filter_map(|fault| first_write_ms(fault, calls)).collect();
    let whole: Vec<f64> = faults.iter().map(|fault| fault.whole_ns.saturating_sub(fault.end_ns) as f64 / MS).collect();
    words += &format!("; first write acknowledged after {}", median_and_worst(&first, "ms"));
    words += &format!("; whole again after {}", median_and_worst(&whole, "ms"));
    let bytes: Vec<f64> =
        faults.iter().filter_map(|fault| fault.received_bytes).map(|bytes| bytes as f64 / 1e6).collect();
    if !bytes.is_empty() {
        words += &format!("; these nodes received {} meanwhile, load included", median_and_worst(&bytes, "MB"));
    }
    words
}

/// Milliseconds from a fault to the first acknowledgement of a change that was asked for after it.
fn first_write_ms(fault: &Fault, calls: &[Call]) -> Option<f64> {
    let after = calls
        .iter()
        .filter(|call| call.outcome == Outcome::Done && call.action.is_change() && call.start_ns >= fault.start_ns);
    after.map(|call| (call.end_ns - fault.start_ns) as f64 / MS).min_by(f64::total_cmp)
}

fn median_and_worst(figures: &[f64], unit: &str) -> String {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.last() {
        None => "(never)".to_owned(),
        Some(worst) => format!("{:.1} {unit} (median), {worst:.1} {unit} (worst)", sorted[sorted.len() / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{Action, Run};
    use super::*;

    fn change(start_ms: u64, end_ms: u64, outcome: Outcome) -> Call {
        Call {
            client: 0,
            operation: start_ms,
            key: "k".to_owned(),
            action: Action::Put,
            node: "ring-0".to_owned(),
            start_ns: start_ms * 1_000_000,
            end_ns: end_ms * 1_000_000,
            outcome,
            status: None,
            shown: None,
            oddity: None,
        }
    }

    #[test]
    fn the_first_write_after_a_fault_was_asked_for_after_it() {
        let fault = Fault {
            kind: "kill two".to_owned(),
            nodes: vec!["ring-0".to_owned()],
            start_ns: 10_000_000,
            end_ns: 30_000_000,
            whole_ns: 70_000_000,
            received_bytes: Some(2_500_000),
        };
        let calls = vec![
            change(9, 11, Outcome::Done),
            change(11, 12, Outcome::Unknown),
            change(12, 19, Outcome::Done),
            change(13, 25, Outcome::Done),
        ];
        let run = Run { seed: 1, run: 1, began_unix_ms: 0 };
        let text = text(&History { run, calls, faults: vec![fault] }, &Judgement::default());
        assert!(text.contains("first write acknowledged after 9.0 ms (median)"), "{text}");
        assert!(text.contains("whole again after 40.0 ms"), "{text}");
        assert!(text.contains("received 2.5 MB"), "{text}");
    }
}
