//! Lookups that the ring makes for itself: to join, to refresh fingers, to see itself through others.

use super::{Finger, Fingers, Found, Lookup, Message, QUERY_TIMEOUT, Ring, Step};
use crate::id::{NodeId, Point};
use crate::time::Instant;

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The virtual node at this point looks for its place.
    Join(Point),
    /// Chord's `fix_fingers`.
    Finger { point: Point, exponent: u32 },
    /// Whom others take for the successor of this point.
    Reflection(Point),
}

/// A lookup on its way.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    purpose: Purpose,
    lookup: Lookup,
    asked: NodeId,
    pub(super) deadline: Instant,
}

/// Lookups for fingers in one round that need others.
const FINGER_LOOKUPS: usize = 2;
/// Fingers looked at in one round.
const FINGERS: usize = 8;

impl Ring {
    /// Looks for the place of the virtual node at `point`, unless that is under way.
    pub(super) fn look_for_place(&mut self, point: Point, now: Instant) {
        let under_way = self.errands.values().any(|errand| errand.purpose == Purpose::Join(point))
            || self.queries.values().any(|query| query.asker == point);
        if !under_way {
            let lookup = self.lookup(point);
            self.go_on(Purpose::Join(point), lookup, now);
        }
    }

    /// Refreshes the next few fingers by lookups (Chord, figure 6: `fix_fingers`).
    pub(super) fn refresh_fingers(&mut self, now: Instant) {
        let mut remote = 0;
        for _ in 0..FINGERS {
            let (index, exponent) = self.next_finger;
            let Some((point, slot)) = self.slots.iter().nth(index) else {
                self.next_finger = (0, 159);
                continue;
            };
            let (point, last) = (*point, slot.member.as_ref().and_then(|member| member.successors().last()));
            let lowest = last.map_or(160, |last| Fingers::lowest(point, last.point));
            if exponent < lowest || exponent == 0 {
                self.next_finger = (index + 1, 159);
                continue;
            }
            self.next_finger = (index, exponent - 1);
            let lookup = self.lookup(point.plus_power_of_two(exponent));
            remote += usize::from(self.go_on(Purpose::Finger { point, exponent }, lookup, now));
            if remote == FINGER_LOOKUPS {
                return;
            }
        }
    }

    /// Asks another node, which need not be in the same ring any more, whom it takes for the successor of one
    /// of this node's virtual nodes (Chord, section 7: heals a ring that has come apart).
    pub(super) fn look_at_self(&mut self, turn: u64, now: Instant) {
        let me = self.config.me;
        let others: Vec<NodeId> = self.landmarks.iter().copied().filter(|node| *node != me).collect();
        let points = self.slots.len() as u64;
        if others.is_empty() || points == 0 {
            return;
        }
        let through = others[(turn % others.len() as u64) as usize];
        let point = *self.slots.keys().nth((turn % points) as usize).expect("the number is below the count");
        let lookup = Lookup::through(point.plus_power_of_two(0), me, [through]);
        self.go_on(Purpose::Reflection(point), lookup, now);
    }

    /// Asks the next node of a lookup, or ends it; whether anybody was asked.
    fn go_on(&mut self, purpose: Purpose, mut lookup: Lookup, now: Instant) -> bool {
        if let Some(asked) = lookup.poll_transmit(|node| self.health(node)) {
            let number = self.number();
            self.send(asked, Message::Find { number, target: lookup.target() });
            self.errands.insert(number, Errand { purpose, lookup, asked, deadline: now + QUERY_TIMEOUT });
            return true;
        }
        if let (Some(found), _) = lookup.into_outcome() {
            self.end(purpose, &found, now);
        }
        false
    }

    fn end(&mut self, purpose: Purpose, found: &Found, now: Instant) {
        self.learn_found(found);
        match purpose {
            Purpose::Join(point) => {
                if self.slots.get(&point).is_some_and(|slot| slot.member.is_none()) {
                    self.query(point, found.before[0], false, now);
                }
            }
            Purpose::Finger { point, exponent } => {
                if found.successor().point != point {
                    self.fingers.set(point, exponent, found.successor());
                }
            }
            Purpose::Reflection(point) => self.propose(point, found.successor()),
        }
    }

    /// `finger` may be a closer successor of the virtual node at `point`: it will be asked.
    pub(super) fn propose(&mut self, point: Point, finger: Finger) {
        if !self.absent.contains_key(&finger.point)
            && let Some(member) = self.member_mut(point)
        {
            member.propose(finger);
        }
    }

    /// The answer to a step; `None` if none will come.
    pub(super) fn handle_step(&mut self, number: u64, step: Option<Step>, now: Instant) {
        if let Some(Errand { purpose, mut lookup, asked, .. }) = self.errands.remove(&number) {
            lookup.handle_reply(asked, step, |node| self.health(node));
            self.go_on(purpose, lookup, now);
        }
    }

    /// Numbers of the steps that `gone` holds for: of the node that was asked and the deadline.
    pub(super) fn steps_where(&self, gone: impl Fn(NodeId, Instant) -> bool) -> Vec<u64> {
        let errands = self.errands.iter().filter(|(_, errand)| gone(errand.asked, errand.deadline));
        errands.map(|(number, _)| *number).collect()
    }
}
