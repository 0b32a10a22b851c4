//! What is told as an Event: only what has changed since the status before, so that an idle ring tells nothing.

use kube::runtime::events::{Event, EventType};
use scrapering_crds::{Condition, ConditionStatus, Operation, ScrapeRingStatus};

/// Longest note that the API server takes.
const MAX_NOTE_CHARS: usize = 1000;

/// The news of `next` against `previous`.
pub fn news(previous: Option<&ScrapeRingStatus>, next: &ScrapeRingStatus) -> Vec<Event> {
    let mut all = Vec::new();
    let before = previous.and_then(|status| status.operation.as_ref());
    let key = |operation: &Operation| (operation.type_.clone(), operation.target.clone(), operation.step.clone());
    match (before, &next.operation) {
        (_, Some(now)) if before.map(key) != Some(key(now)) => {
            let target = now.target.as_deref().map(|target| format!("{target}: ")).unwrap_or_default();
            all.push(event(EventType::Normal, &now.type_, &now.step, format!("{target}{}", now.message)));
        }
        (Some(before), None) => {
            all.push(event(
                EventType::Normal,
                &format!("{}Done", before.type_),
                "Settled",
                "every node is as asked for".to_owned(),
            ));
        }
        _ => {}
    }
    for (type_, is_bad) in [("Ready", ConditionStatus::False), ("Degraded", ConditionStatus::True)] {
        let of =
            |status: &ScrapeRingStatus| status.conditions.iter().find(|condition| condition.type_ == type_).cloned();
        let Some(now) = of(next) else { continue };
        let changed = |before: &Condition| before.status != now.status || before.reason != now.reason;
        // A new ring is not ready and nobody is surprised.
        let is_news = previous.and_then(of).map_or(now.status == ConditionStatus::True, |before| changed(&before));
        if is_news {
            let kind = if now.status == is_bad { EventType::Warning } else { EventType::Normal };
            all.push(event(kind, &now.reason, type_, now.message));
        }
    }
    all
}

fn event(type_: EventType, reason: &str, action: &str, note: String) -> Event {
    let note = Some(note.chars().take(MAX_NOTE_CHARS).collect());
    Event { type_, reason: reason.to_owned(), note, action: action.to_owned(), secondary: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(operation: Option<&str>, degraded: Option<&str>) -> ScrapeRingStatus {
        let condition = Condition {
            type_: "Degraded".to_owned(),
            status: if degraded.is_some() { ConditionStatus::True } else { ConditionStatus::False },
            reason: degraded.unwrap_or("AsExpected").to_owned(),
            message: String::new(),
            last_transition_time: String::new(),
            observed_generation: None,
        };
        let operation = operation.map(|step| Operation {
            type_: "ScaleIn".to_owned(),
            step: step.to_owned(),
            ..Operation::default()
        });
        ScrapeRingStatus { operation, conditions: vec![condition], ..ScrapeRingStatus::default() }
    }

    #[test]
    fn only_what_changed_is_told() {
        let reasons = |before: Option<&ScrapeRingStatus>, next: &ScrapeRingStatus| {
            news(before, next).into_iter().map(|event| format!("{}/{}", event.reason, event.action)).collect::<Vec<_>>()
        };
        let (idle, leaving) = (status(None, None), status(Some("Leaving"), None));
        assert!(reasons(None, &idle).is_empty() && reasons(Some(&idle), &idle).is_empty());
        assert_eq!(reasons(Some(&idle), &leaving), ["ScaleIn/Leaving"]);
        assert!(reasons(Some(&leaving), &leaving).is_empty());
        assert_eq!(reasons(Some(&leaving), &status(Some("Removing"), None)), ["ScaleIn/Removing"]);
        assert_eq!(reasons(Some(&leaving), &idle), ["ScaleInDone/Settled"]);
        assert_eq!(reasons(Some(&idle), &status(None, Some("NameTaken"))), ["NameTaken/Degraded"]);
    }
}
