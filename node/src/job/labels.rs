//! The labels of a job: seeds and links give them, rules of `extract` ask for them.

use super::report::{Faults, Place, excerpt};

/// Longest label, bytes.
const LABEL_LENGTH_MAX: usize = 63;
/// Most labels of one job.
const LABELS_MAX: usize = 1_000;

/// The labels seen so far, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Labels(Vec<String>);

/// What rules may ask for.
pub(super) struct Asked<'a> {
    labels: &'a mut Labels,
    /// Whether a label that nobody gives is a fault.
    is_closed: bool,
}

impl Labels {
    /// The number of a label that is given, counted from 1; 0 for none.
    pub(super) fn named(&mut self, label: Option<&str>, at: &Place, faults: &mut Faults) -> u16 {
        let Some(label) = label else { return 0 };
        let letter_first = label.starts_with(|first: char| first.is_ascii_alphabetic());
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !letter_first || !plain || label.len() > LABEL_LENGTH_MAX {
            let shown = excerpt(label);
            faults.add(at, format!("`{shown}` is not a label; use a letter, then letters, digits, `_` and `-`, at most {LABEL_LENGTH_MAX}"));
            return 0;
        }
        let known = self.0.iter().position(|known| known == label);
        if known.is_none() && self.0.len() == LABELS_MAX {
            faults.add(at, format!("is one label too many; at most {LABELS_MAX} are allowed"));
            return 0;
        }
        let index = known.unwrap_or_else(|| {
            self.0.push(label.to_owned());
            self.0.len() - 1
        });
        u16::try_from(index + 1).unwrap_or(0)
    }

    /// For the rules of a whole job.
    pub(super) fn known(&mut self) -> Asked<'_> {
        Asked { labels: self, is_closed: true }
    }

    /// For rules without a job around them.
    pub(super) fn any(&mut self) -> Asked<'_> {
        Asked { labels: self, is_closed: false }
    }

    /// The labels in their order.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }
}

impl Asked<'_> {
    /// The number of a label that a rule asks for.
    pub(super) fn number(&mut self, label: &str, at: &Place, faults: &mut Faults) -> u16 {
        if self.is_closed && !self.labels.0.iter().any(|known| known == label) {
            faults.add(
                at,
                format!("`{}` is no label of any seed or follow rule, so no page would match", excerpt(label)),
            );
            return 0;
        }
        self.labels.named(Some(label), at, faults)
    }
}
