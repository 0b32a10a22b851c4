//! The fingers of one node's virtual nodes (Chord, section 4.3): the first member at 2^i or further, per i.

use super::Finger;
use crate::id::{NodeId, Point};
use std::collections::BTreeMap;

/// Fingers by virtual node and exponent. The short ones, which the successor list covers, are not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Fingers {
    tables: BTreeMap<Point, BTreeMap<u32, Finger>>,
}

/// The exponent of the finger that would reach across `distance`, a number below 2^160; `None` for zero.
fn exponent(distance: [u8; 20]) -> Option<u32> {
    let zeros = distance.iter().position(|byte| *byte != 0)?;
    Some(8 * (19 - zeros as u32) + distance[zeros].ilog2())
}

impl Fingers {
    /// The lowest exponent whose finger of the virtual node at `point` starts behind `last`, the end of its
    /// successor list.
    pub(super) fn lowest(point: Point, last: Point) -> u32 {
        exponent(point.distance_to(last)).map_or(0, |exponent| exponent + 1)
    }

    /// A lookup said that this is the first member behind the finger's start.
    pub(super) fn set(&mut self, point: Point, exponent: u32, finger: Finger) {
        self.tables.entry(point).or_default().insert(exponent, finger);
    }

    /// Somebody mentioned `finger`, which may be better than what is kept.
    pub(super) fn learn(&mut self, owners: impl IntoIterator<Item = Point>, finger: Finger) {
        for point in owners {
            let distance = point.distance_to(finger.point);
            let Some(exponent) = exponent(distance) else { continue };
            let table = self.tables.entry(point).or_default();
            let known = table.get(&exponent).filter(|known| point.distance_to(known.point) <= distance);
            if known.is_none() {
                table.insert(exponent, finger);
            }
        }
    }

    /// Forgets every finger to nodes for which `gone` holds.
    pub(super) fn forget(&mut self, gone: impl Fn(NodeId) -> bool) {
        for table in self.tables.values_mut() {
            table.retain(|_, finger| !gone(finger.node));
        }
    }

    /// The finger of the virtual node at `point` that comes closest to `target` without reaching it.
    pub(super) fn closest_preceding(&self, point: Point, target: Point) -> impl Iterator<Item = Finger> + '_ {
        let table = self.tables.get(&point).into_iter().flat_map(|table| table.values().rev().copied());
        table.filter(move |finger| finger.point.in_open_arc(point, target))
    }
}
