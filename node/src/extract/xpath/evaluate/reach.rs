//! What a whole set of nodes reaches along an axis, without walking the same nodes again for each of them.

use std::collections::HashSet;

use super::super::super::ExtractError;
use super::super::ast::{Axis, Step};
use super::super::index::Place;
use super::super::walk::Walk;
use super::{Evaluator, in_order};

impl<'x> Evaluator<'x, '_> {
    /// The nodes that `step` finds from any node of `set`, before its predicates.
    pub(super) fn reach(&mut self, set: &[Place], step: &'x Step) -> Result<Vec<Place>, ExtractError> {
        let mut found = Vec::new();
        match (step.axis, set) {
            (_, [only]) => self.gather(*only, step, &mut found)?,
            (Axis::Descendant | Axis::DescendantOrSelf, _) => self.below(set, step, &mut found)?,
            // What follows any of them follows the one that ends first; what precedes any precedes the last.
            (Axis::Following, _) => {
                let view = self.view;
                let start = |place: &Place| if place.is_attribute() { place.node + 1 } else { view.end(place.node) };
                if let Some(earliest) = set.iter().copied().min_by_key(start) {
                    self.gather(earliest, step, &mut found)?;
                }
            }
            (Axis::Preceding, _) => {
                if let Some(last) = set.last() {
                    self.gather(*last, step, &mut found)?;
                }
            }
            (Axis::FollowingSibling, _) => self.siblings(set.iter(), step, &mut found)?,
            (Axis::PrecedingSibling, _) => self.siblings(set.iter().rev(), step, &mut found)?,
            (Axis::Ancestor | Axis::AncestorOrSelf, _) => self.above(set, step, &mut found)?,
            (Axis::Child | Axis::Parent | Axis::Attribute | Axis::Itself, _) => {
                for place in set {
                    self.gather(*place, step, &mut found)?;
                }
            }
        }
        in_order(&mut found);
        Ok(found)
    }

    fn gather(&mut self, from: Place, step: &Step, found: &mut Vec<Place>) -> Result<(), ExtractError> {
        self.meter.step()?;
        for place in Walk::new(self.view, from, step.axis) {
            self.meter.step()?;
            if self.view.satisfies(place, step.axis, &step.test) {
                found.push(place);
            }
        }
        Ok(())
    }

    /// Of nodes within each other only the outermost is walked.
    fn below(&mut self, set: &[Place], step: &Step, found: &mut Vec<Place>) -> Result<(), ExtractError> {
        let mut covered = 0;
        for place in set {
            self.meter.step()?;
            if place.is_attribute() || place.node >= covered {
                self.gather(*place, step, found)?;
                if !place.is_attribute() {
                    covered = self.view.end(place.node);
                }
            }
        }
        Ok(())
    }

    /// Of siblings only the one is walked that comes first in `set`.
    fn siblings<'s>(
        &mut self,
        set: impl Iterator<Item = &'s Place>,
        step: &Step,
        found: &mut Vec<Place>,
    ) -> Result<(), ExtractError> {
        let mut walked = HashSet::new();
        for place in set.filter(|place| !place.is_attribute()) {
            self.meter.step()?;
            if walked.insert(self.view.parent(place.node)) {
                self.gather(*place, step, found)?;
            }
        }
        Ok(())
    }

    /// Each walk up ends where another one went before.
    fn above(&mut self, set: &[Place], step: &Step, found: &mut Vec<Place>) -> Result<(), ExtractError> {
        let mut visited = HashSet::new();
        for place in set {
            for above in Walk::new(self.view, *place, step.axis) {
                self.meter.step()?;
                if !visited.insert((above.node, above.attribute)) {
                    break;
                }
                if self.view.satisfies(above, step.axis, &step.test) {
                    found.push(above);
                }
            }
        }
        Ok(())
    }
}
