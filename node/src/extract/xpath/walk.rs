//! The nodes along an axis, seen from one node, in the order in which positions count (XPath 1.0, section 2.2).

use std::ops::Range;

use super::ast::Axis;
use super::index::{Place, View};

pub(super) struct Walk<'a> {
    view: View<'a>,
    /// A node that comes before all others.
    first: Option<Place>,
    rest: Rest,
}

enum Rest {
    Nothing,
    Numbers(Range<u32>),
    /// Nodes before `next` that `before` is not below.
    Backwards {
        next: u32,
        before: u32,
    },
    NextSiblings(Option<u32>),
    PreviousSiblings(Option<u32>),
    Ancestors(Option<u32>),
    Attributes {
        node: u32,
        left: Range<u32>,
    },
}

impl<'a> Walk<'a> {
    pub(super) fn new(view: View<'a>, from: Place, axis: Axis) -> Self {
        let Place { node, .. } = from;
        let is_attribute = from.is_attribute();
        let below = node + 1..view.end(node);
        let itself = Some(from);
        let (first, rest) = match axis {
            Axis::Itself => (itself, Rest::Nothing),
            Axis::Parent if is_attribute => (Some(Place::node(node)), Rest::Nothing),
            Axis::Parent => (view.parent(node).map(Place::node), Rest::Nothing),
            Axis::Ancestor if is_attribute => (None, Rest::Ancestors(Some(node))),
            Axis::Ancestor => (None, Rest::Ancestors(view.parent(node))),
            Axis::AncestorOrSelf if is_attribute => (itself, Rest::Ancestors(Some(node))),
            Axis::AncestorOrSelf => (itself, Rest::Ancestors(view.parent(node))),
            // The content of an element follows its attributes.
            Axis::Following if is_attribute => (None, Rest::Numbers(node + 1..view.nodes())),
            Axis::Following => (None, Rest::Numbers(view.end(node)..view.nodes())),
            Axis::Preceding => (None, Rest::Backwards { next: node, before: node }),
            Axis::DescendantOrSelf if is_attribute => (itself, Rest::Nothing),
            Axis::DescendantOrSelf => (itself, Rest::Numbers(below)),
            _ if is_attribute => (None, Rest::Nothing),
            Axis::Descendant => (None, Rest::Numbers(below)),
            Axis::Child => {
                (None, Rest::NextSiblings(Some(below).filter(|below| !below.is_empty()).map(|below| below.start)))
            }
            Axis::FollowingSibling => (None, Rest::NextSiblings(view.next(node))),
            Axis::PrecedingSibling => (None, Rest::PreviousSiblings(view.previous(node))),
            Axis::Attribute => (None, Rest::Attributes { node, left: 1..view.attribute_count(node) + 1 }),
        };
        Self { view, first, rest }
    }
}

impl Iterator for Walk<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let view = self.view;
        let number = match &mut self.rest {
            Rest::Nothing => None,
            Rest::Numbers(numbers) => numbers.next(),
            Rest::Backwards { next, before } => loop {
                let Some(number) = next.checked_sub(1) else { break None };
                *next = number;
                if view.end(number) <= *before {
                    break Some(number);
                }
            },
            Rest::NextSiblings(next) => {
                let here = *next;
                *next = here.and_then(|here| view.next(here));
                here
            }
            Rest::PreviousSiblings(next) => {
                let here = *next;
                *next = here.and_then(|here| view.previous(here));
                here
            }
            Rest::Ancestors(next) => {
                let here = *next;
                *next = here.and_then(|here| view.parent(here));
                here
            }
            Rest::Attributes { node, left } => return left.next().map(|attribute| Place { node: *node, attribute }),
        };
        number.map(Place::node)
    }
}
