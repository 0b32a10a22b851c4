//! Evaluating an expression on a page: sets of nodes here, other values in the files below.
//!
//! Every node that is looked at is a step for the page's meter, and the texts that are held at the same time are bounded, so that no expression costs
//! more than a page may. Sets are in document order and hold each node once.

mod compare;
mod reach;
mod text;
mod value;

use std::collections::HashMap;

use super::super::ExtractError;
use super::super::budget::Meter;
use super::ast::{Ids, Nodes, Origin, Predicate, Step};
use super::index::{Place, View};
use super::token::is_space;
use super::walk::Walk;

/// Where an expression is evaluated (XPath 1.0, section 1).
#[derive(Clone, Copy)]
pub(super) struct Context {
    place: Place,
    /// Counted from 1.
    position: usize,
    size: usize,
}

impl Context {
    pub(super) fn alone(place: Place) -> Self {
        Self { place, position: 1, size: 1 }
    }
}

/// Evaluates one expression on one page.
pub(super) struct Evaluator<'x, 'm> {
    view: View<'x>,
    meter: &'m mut Meter,
    /// Bytes of the texts that wait for another one.
    held_bytes: usize,
    /// The first element with each id, once they are asked for.
    ids: Option<HashMap<&'x str, u32>>,
}

impl<'x, 'm> Evaluator<'x, 'm> {
    pub(super) fn new(view: View<'x>, meter: &'m mut Meter) -> Self {
        Self { view, meter, held_bytes: 0, ids: None }
    }

    /// The nodes of a set.
    pub(super) fn nodes(&mut self, nodes: &'x Nodes, context: Context) -> Result<Vec<Place>, ExtractError> {
        match nodes {
            Nodes::Path { from, steps } => {
                let mut set = match from {
                    Origin::Root => vec![Place::ROOT],
                    Origin::Context => vec![context.place],
                    Origin::Nodes(nodes) => self.nodes(nodes, context)?,
                };
                for step in steps {
                    set = self.step(&set, step)?;
                }
                Ok(set)
            }
            Nodes::Filter { base, predicates } => {
                let mut set = self.nodes(base, context)?;
                for predicate in predicates {
                    set = self.filtered(set, predicate)?;
                }
                Ok(set)
            }
            Nodes::Union(parts) => {
                let mut set = Vec::new();
                for part in parts {
                    set.extend(self.nodes(part, context)?);
                    in_order(&mut set);
                    self.meter.check()?;
                }
                Ok(set)
            }
            Nodes::ById(ids) => self.by_id(ids, context),
        }
    }

    /// The first node of a set in document order.
    pub(super) fn first(&mut self, nodes: &'x Nodes, context: Context) -> Result<Option<Place>, ExtractError> {
        match nodes {
            Nodes::Path { from, steps } if steps.iter().all(|step| !step.axis.is_reverse()) => {
                self.earliest(nodes, from, steps, context)
            }
            _ => Ok(self.nodes(nodes, context)?.first().copied()),
        }
    }

    /// Whether there is any node in a set.
    pub(super) fn exists(&mut self, nodes: &'x Nodes, context: Context) -> Result<bool, ExtractError> {
        let found = match nodes {
            Nodes::Path { from, steps } => self.earliest(nodes, from, steps, context)?,
            _ => self.nodes(nodes, context)?.first().copied(),
        };
        Ok(found.is_some())
    }

    /// The first node along the axis where a path has one step that counts no positions, else the first of all.
    fn earliest(
        &mut self,
        nodes: &'x Nodes,
        from: &'x Origin,
        steps: &'x [Step],
        context: Context,
    ) -> Result<Option<Place>, ExtractError> {
        let place = match from {
            Origin::Root => Place::ROOT,
            Origin::Context => context.place,
            Origin::Nodes(_) => return Ok(self.nodes(nodes, context)?.first().copied()),
        };
        match steps {
            [] => Ok(Some(place)),
            [step] if !step.predicates.iter().any(Predicate::is_positional) => {
                for found in Walk::new(self.view, place, step.axis) {
                    self.meter.step()?;
                    if self.view.satisfies(found, step.axis, &step.test) && self.all_hold(&step.predicates, found)? {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
            _ => Ok(self.nodes(nodes, context)?.first().copied()),
        }
    }

    fn all_hold(&mut self, predicates: &'x [Predicate], place: Place) -> Result<bool, ExtractError> {
        for predicate in predicates {
            if !self.holds(predicate, Context::alone(place))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a step finds from all nodes of `set` together.
    fn step(&mut self, set: &[Place], step: &'x Step) -> Result<Vec<Place>, ExtractError> {
        if !step.predicates.iter().any(Predicate::is_positional) {
            let mut found = self.reach(set, step)?;
            for predicate in &step.predicates {
                found = self.filtered(found, predicate)?;
            }
            return Ok(found);
        }
        let mut found = Vec::new();
        let mut tidy = 0;
        for place in set {
            self.meter.step()?;
            found.extend(self.positions(*place, step)?);
            // Nodes that are found again and again must not pile up.
            if found.len() > 2 * tidy + 1024 {
                in_order(&mut found);
                tidy = found.len();
            }
        }
        in_order(&mut found);
        Ok(found)
    }

    /// What a step finds from one node, its predicates counting along the axis.
    fn positions(&mut self, place: Place, step: &'x Step) -> Result<Vec<Place>, ExtractError> {
        let (enough, rest) = match step.predicates.split_first() {
            Some((Predicate::Nth(nth), rest)) => (*nth, Some(rest)),
            _ => (usize::MAX, None),
        };
        let mut found = Vec::new();
        for candidate in Walk::new(self.view, place, step.axis) {
            self.meter.step()?;
            if self.view.satisfies(candidate, step.axis, &step.test) {
                found.push(candidate);
                if found.len() == enough {
                    break;
                }
            }
        }
        if rest.is_some() {
            found = found.get(enough - 1).copied().into_iter().collect();
        }
        for predicate in rest.unwrap_or(&step.predicates) {
            found = self.filtered(found, predicate)?;
        }
        Ok(found)
    }

    /// The nodes of `list` for which `predicate` holds; positions are those in the list.
    fn filtered(&mut self, list: Vec<Place>, predicate: &'x Predicate) -> Result<Vec<Place>, ExtractError> {
        match predicate {
            Predicate::Nth(nth) => return Ok(list.get(nth - 1).copied().into_iter().collect()),
            Predicate::Last => return Ok(list.last().copied().into_iter().collect()),
            Predicate::At(_) | Predicate::Positional(_) | Predicate::If(_) => {}
        }
        let size = list.len();
        let mut kept = Vec::new();
        for (index, place) in list.into_iter().enumerate() {
            self.meter.step()?;
            if self.holds(predicate, Context { place, position: index + 1, size })? {
                kept.push(place);
            }
        }
        Ok(kept)
    }

    fn holds(&mut self, predicate: &'x Predicate, context: Context) -> Result<bool, ExtractError> {
        match predicate {
            Predicate::Nth(nth) => Ok(context.position == *nth),
            Predicate::Last => Ok(context.position == context.size),
            Predicate::At(number) => Ok(self.number(number, context)? == context.position as f64),
            Predicate::Positional(condition) | Predicate::If(condition) => self.bool(condition, context),
        }
    }

    fn by_id(&mut self, ids: &'x Ids, context: Context) -> Result<Vec<Place>, ExtractError> {
        let mut found = Vec::new();
        match ids {
            Ids::In(text) => {
                let words = self.text(text, context)?;
                self.look_up(&words, &mut found)?;
            }
            Ids::OfEach(nodes) => {
                for place in self.nodes(nodes, context)? {
                    let words = self.string_value(place)?;
                    self.look_up(&words, &mut found)?;
                }
            }
        }
        in_order(&mut found);
        Ok(found)
    }

    fn look_up(&mut self, words: &str, found: &mut Vec<Place>) -> Result<(), ExtractError> {
        let ids = match self.ids.take() {
            Some(ids) => ids,
            None => self.all_ids()?,
        };
        for word in words.split(is_space) {
            self.meter.step()?;
            found.extend(ids.get(word).copied().map(Place::node));
        }
        in_order(found);
        self.ids = Some(ids);
        Ok(())
    }

    fn all_ids(&mut self) -> Result<HashMap<&'x str, u32>, ExtractError> {
        let mut ids = HashMap::new();
        for number in 0..self.view.nodes() {
            self.meter.step()?;
            if let Some(id) =
                self.view.element(number).and_then(|element| element.attr("id")).filter(|id| !id.is_empty())
            {
                ids.entry(id).or_insert(number);
            }
        }
        Ok(ids)
    }
}

/// Sorts a set and keeps each node once.
fn in_order(set: &mut Vec<Place>) {
    if !set.is_sorted_by(|before, after| before < after) {
        set.sort_unstable();
        set.dedup();
    }
}
