//! Conditions as the Kubernetes API conventions want them: the time moves only when the status does.

use k8s_openapi::jiff::Timestamp;
use scrapering_crds::{Condition, ConditionStatus};

/// Longest message: enough for every problem, small beside the 32768 that the schema allows.
pub(crate) const MAX_MESSAGE_CHARS: usize = 4096;

/// A condition without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition's type.
    pub type_: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one CamelCase word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

impl Verdict {
    /// The condition holds.
    pub fn yes(type_: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { type_, holds: true, reason: reason.into(), message: message.into() }
    }

    /// The condition does not hold.
    pub fn no(type_: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { holds: false, ..Self::yes(type_, reason, message) }
    }

    /// The condition, seen beside those that were there before.
    pub fn condition(&self, previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let status = if self.holds { ConditionStatus::True } else { ConditionStatus::False };
        let before = previous.iter().find(|before| before.type_ == self.type_ && before.status == status);
        Condition {
            type_: self.type_.to_owned(),
            status,
            reason: self.reason.clone(),
            message: self.message.chars().take(MAX_MESSAGE_CHARS).collect(),
            last_transition_time: before.map_or_else(|| time(now), |before| before.last_transition_time.clone()),
            observed_generation: generation,
        }
    }
}

/// Whether the condition of a type is there and holds.
pub fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.status == ConditionStatus::True)
}

/// A time as the API server writes it: whole seconds, UTC.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_moves_with_the_status_and_not_with_the_words() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let first = Verdict::no("Ready", "A", "a").condition(&[], Some(1), at(0));
        let second = Verdict::no("Ready", "B", "b").condition(std::slice::from_ref(&first), Some(2), at(60));
        assert_eq!((second.last_transition_time.as_str(), second.reason.as_str()), ("1970-01-01T00:00:00Z", "B"));
        let third = Verdict::yes("Ready", "C", "c").condition(&[second], Some(2), at(120));
        assert_eq!(third.last_transition_time, "1970-01-01T00:02:00Z");
        assert!(holds(&[third], "Ready") && !holds(&[first], "Ready"));
    }
}
