//! Comparisons with sets of nodes (XPath 1.0, section 3.4): true if they hold for any node, in time that grows with the nodes and not with their pairs.

use std::collections::HashSet;

use super::super::super::ExtractError;
use super::super::ast::{Comparison, Nodes, Number, Text};
use super::super::index::Place;
use super::super::number;
use super::{Context, Evaluator};

impl<'x> Evaluator<'x, '_> {
    pub(super) fn compare_text(
        &mut self,
        equal: bool,
        (nodes, text): &'x (Nodes, Text),
        context: Context,
    ) -> Result<bool, ExtractError> {
        let set = self.nodes(nodes, context)?;
        let text = self.text(text, context)?;
        self.holding(text.len(), |this| {
            for place in set {
                if (this.string_value(place)? == text) == equal {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    pub(super) fn compare_number(
        &mut self,
        comparison: Comparison,
        (nodes, number): &'x (Nodes, Number),
        context: Context,
    ) -> Result<bool, ExtractError> {
        let set = self.nodes(nodes, context)?;
        let number = self.number(number, context)?;
        for place in set {
            if comparison.holds(self.number_at(place)?, number) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn compare_nodes(
        &mut self,
        comparison: Comparison,
        (left, right): &'x (Nodes, Nodes),
        context: Context,
    ) -> Result<bool, ExtractError> {
        let left = self.nodes(left, context)?;
        let right = self.nodes(right, context)?;
        let (Some(first), false) = (left.first(), right.is_empty()) else { return Ok(false) };
        match comparison {
            Comparison::Equal => self.share_text(&left, &right),
            Comparison::NotEqual => {
                let first = self.string_value(*first)?;
                self.holding(first.len(), |this| {
                    // Two nodes differ unless all of them say the same.
                    for place in right.iter().chain(&left) {
                        if this.string_value(*place)? != first {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
            }
            Comparison::Less | Comparison::LessOrEqual => {
                Ok(comparison.holds(self.extreme(&left, f64::min)?, self.extreme(&right, f64::max)?))
            }
            Comparison::Greater | Comparison::GreaterOrEqual => {
                Ok(comparison.holds(self.extreme(&left, f64::max)?, self.extreme(&right, f64::min)?))
            }
        }
    }

    fn share_text(&mut self, left: &[Place], right: &[Place]) -> Result<bool, ExtractError> {
        let (fewer, more) = if left.len() <= right.len() { (left, right) } else { (right, left) };
        let mut texts = HashSet::with_capacity(fewer.len());
        let before = self.held_bytes;
        for place in fewer {
            let text = self.string_value(*place)?;
            self.held_bytes += text.len();
            self.room(0)?;
            texts.insert(text);
        }
        let mut shared = false;
        for place in more {
            shared = texts.contains(&self.string_value(*place)?);
            if shared {
                break;
            }
        }
        self.held_bytes = before;
        Ok(shared)
    }

    /// The least or greatest number in a set; NaN, for which no comparison holds, if there is none.
    fn extreme(&mut self, set: &[Place], choose: fn(f64, f64) -> f64) -> Result<f64, ExtractError> {
        let mut extreme = f64::NAN;
        for place in set {
            // Both functions return the other number if one is NaN.
            extreme = choose(extreme, self.number_at(*place)?);
        }
        Ok(extreme)
    }

    pub(super) fn number_at(&mut self, place: Place) -> Result<f64, ExtractError> {
        let text = self.string_value(place)?;
        self.weigh(text.len())?;
        Ok(number::parsed(&text))
    }
}
