//! Keeps the ring: carries the questions of the virtual nodes, in batches per node, and answers those of others.

use super::census::{Census, DistinctNodes, Health, Known};
use super::virtual_node::Outcome;
use super::{
    ABSENT_FOR, Finger, MAX_WAITING, Message, Neighbours, PERIOD, QUERY_TIMEOUT, Query, Ring, SELF_LOOKUP_ROUNDS,
    VirtualNode,
};
use crate::id::{NodeId, Point};
use crate::time::Instant;
use std::collections::BTreeMap;

impl Ring {
    /// The membership as it is now, without this node itself. Call it whenever it changed.
    pub fn handle_members(&mut self, known: BTreeMap<NodeId, Known>, now: Instant) {
        if !self.census.replace(known) {
            return;
        }
        let Self { fingers, census, .. } = self;
        fingers.forget(|node| census.health(node) == Health::Dead);
        let queries = self.queries_where(|ring, query| ring.health(query.to.node) == Health::Dead);
        let steps = self.steps_where(|node, _| self.health(node) == Health::Dead);
        self.close_all(queries, &Outcome::Dead, now);
        steps.into_iter().for_each(|number| self.handle_step(number, None, now));
        self.next_round = now;
        self.deliver_own(now);
    }

    /// Nodes through which this one looks at itself, such as the ring's first members: they lead back
    /// together what came apart.
    pub fn set_landmarks(&mut self, landmarks: Vec<NodeId>) {
        self.landmarks = landmarks;
    }

    /// A message from `from`.
    pub fn handle_message(&mut self, from: NodeId, message: Message, now: Instant) {
        self.dispatch(from, message, now);
        self.deliver_own(now);
    }

    /// What was last sent to `node` did not reach it. It is not dead for that.
    pub fn handle_unreachable(&mut self, node: NodeId, now: Instant) {
        let queries = self.queries_where(|_, query| query.to.node == node);
        let steps = self.steps_where(|asked, _| asked == node);
        self.give_up(queries, steps, now);
    }

    /// To be called when [`Ring::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let queries = self.queries_where(|_, query| query.deadline <= now);
        let steps = self.steps_where(|_, deadline| deadline <= now);
        self.give_up(queries, steps, now);
        if self.next_round <= now {
            self.next_round = now + PERIOD;
            self.run_round(now);
            self.deliver_own(now);
        }
    }

    /// When to call [`Ring::handle_timeout`] next; ask again after every input.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let queries = self.queries.values().map(|query| query.deadline);
        let errands = self.errands.values().map(|errand| errand.deadline);
        queries.chain(errands).chain([self.next_round]).min().expect("there is always a next round")
    }

    /// All that is to be sent to one node; ask after every input until `None`.
    pub fn poll_transmit(&mut self) -> Option<(NodeId, Vec<Message>)> {
        self.outbox.pop_first()
    }

    /// What is to be sent to `node`, for an answer that travels back on the way on which its question came.
    pub fn take_for(&mut self, node: NodeId) -> Vec<Message> {
        self.outbox.remove(&node).unwrap_or_default()
    }

    fn run_round(&mut self, now: Instant) {
        self.round += 1;
        self.absent.retain(|_, until| *until > now);
        for point in self.slots.keys().copied().collect::<Vec<_>>() {
            if self.slots[&point].member.is_some() {
                self.rectify(point);
                self.stabilize(point, now);
            } else {
                self.look_for_place(point, now);
            }
        }
        self.refresh_fingers(now);
        if self.round.is_multiple_of(SELF_LOOKUP_ROUNDS) {
            self.look_at_self(self.round / SELF_LOOKUP_ROUNDS, now);
        }
    }

    /// A round of stabilize of one virtual node. Successors known to be dead are passed, one after the other.
    fn stabilize(&mut self, point: Point, now: Instant) {
        loop {
            let Some(member) = self.member_mut(point) else { return };
            let Some(to) = member.ask_successor() else { break };
            if self.health(to.node) != Health::Dead {
                self.query(point, to, true, now);
                return;
            }
            self.end_question(point, Outcome::Dead);
        }
        // Busy, or without any successor.
        self.ask_candidate(point, now);
    }

    /// The second half of stabilize: asks who may be closer, as the successor said or, if that said nothing
    /// new, as the membership says: its next living member clockwise. That heals what the ring's own rules
    /// cannot, such as a list of which every member died.
    fn ask_candidate(&mut self, point: Point, now: Instant) {
        let next = self.census.clockwise(point).find(|finger| !self.absent.contains_key(&finger.point));
        let Some(member) = self.member_mut(point) else { return };
        next.into_iter().for_each(|next| member.propose(next));
        let Some(to) = member.ask_candidate() else { return };
        if self.health(to.node) == Health::Dead {
            self.end_question(point, Outcome::Dead);
        } else {
            self.query(point, to, false, now);
        }
    }

    /// Sends a query of the virtual node at `asker`.
    pub(super) fn query(&mut self, asker: Point, to: Finger, first_half: bool, now: Instant) {
        let number = self.number();
        self.queries.insert(number, Query { asker, to, first_half, deadline: now + QUERY_TIMEOUT });
        let from = Finger { point: asker, node: self.config.me };
        self.send(to.node, Message::Query { number, to: to.point, from });
    }

    /// Ends the open question of the virtual node at `point`, then does what waited for its end.
    fn end_question(&mut self, point: Point, outcome: Outcome<Finger>) {
        let Self { config, slots, census, .. } = self;
        let rule = DistinctNodes::new(config.me, config.successor_nodes, census);
        let Some(member) = slots.get_mut(&point).and_then(|slot| slot.member.as_mut()) else { return };
        if let Some(to) = member.handle_outcome(outcome, &rule) {
            let from = Finger { point, node: self.config.me };
            self.send(to.node, Message::Notify { to: to.point, from });
        }
        self.rectify(point);
        let Some(slot) = self.slots.get_mut(&point) else { return };
        let waiting = std::mem::take(&mut slot.waiting);
        let neighbours = slot.member.as_ref().and_then(VirtualNode::neighbours);
        for (node, number) in waiting {
            self.send(node, Message::Answer { number, neighbours: neighbours.clone() });
        }
    }

    /// The answer to a query, or the end of the hope for one.
    fn close(&mut self, query: Query, outcome: Outcome<Finger>, now: Instant) {
        let Query { asker, to, first_half, .. } = query;
        if let Outcome::Answer(neighbours) = &outcome {
            let named = neighbours.successors.iter().chain(&neighbours.predecessor).chain([&to]);
            named.copied().collect::<Vec<_>>().into_iter().for_each(|finger| self.learn(finger));
        }
        if self.member_mut(asker).is_none() {
            return self.join(asker, to, outcome, now);
        }
        let (dead, silence) = (outcome == Outcome::Dead, outcome == Outcome::Silence);
        if !first_half && silence {
            // Others get their turn.
            self.absent.insert(to.point, now + ABSENT_FOR);
        }
        self.end_question(asker, outcome);
        if first_half && dead {
            self.stabilize(asker, now);
        } else if dead || (first_half && !silence) {
            self.ask_candidate(asker, now);
        }
    }

    fn join(&mut self, point: Point, before: Finger, outcome: Outcome<Finger>, now: Instant) {
        let Outcome::Answer(neighbours) = outcome else { return };
        let own = Finger { point, node: self.config.me };
        let rule = DistinctNodes::new(self.config.me, self.config.successor_nodes, &self.census);
        let Some(member) = VirtualNode::join(own, before, neighbours, &rule) else { return };
        if let Some(slot) = self.slots.get_mut(&point) {
            slot.member = Some(member);
        }
        self.stabilize(point, now);
    }

    fn dispatch(&mut self, from: NodeId, message: Message, now: Instant) {
        match message {
            Message::Query { number, to, from: asker } => self.handle_query(from, number, to, asker, now),
            Message::Answer { number, neighbours } => self.handle_answer(number, neighbours, now),
            Message::Notify { to, from } => self.handle_notify(to, from),
            Message::Find { number, target } => {
                let step = self.step(target);
                self.send(from, Message::Found { number, step });
            }
            Message::Found { number, step } => self.handle_step(number, Some(step), now),
        }
    }

    fn handle_query(&mut self, from: NodeId, number: u64, to: Point, asker: Finger, now: Instant) {
        self.learn(asker);
        self.absent.remove(&asker.point);
        let Some(member) = self.slots.get(&to).and_then(|slot| slot.member.as_ref()) else {
            return self.send(from, Message::Answer { number, neighbours: None });
        };
        // Everybody waits for the next one clockwise. So that they never wait in a circle, the one at which the
        // circle of points begins anew gives its own question up, answers, and asks again.
        let gives_way = member.asking().is_some() && asker.point > to;
        if gives_way {
            self.queries.retain(|_, query| query.asker != to);
            self.end_question(to, Outcome::Silence);
        }
        let Some(slot) = self.slots.get_mut(&to) else { return };
        if let Some(neighbours) = slot.member.as_ref().and_then(VirtualNode::neighbours) {
            self.send(from, Message::Answer { number, neighbours: Some(neighbours) });
        } else if slot.waiting.len() < MAX_WAITING {
            slot.waiting.push((from, number));
        }
        if gives_way {
            self.stabilize(to, now);
        }
    }

    fn handle_answer(&mut self, number: u64, neighbours: Option<Neighbours<Finger>>, now: Instant) {
        let Some(query) = self.queries.remove(&number) else { return };
        let outcome = neighbours.map_or(Outcome::Dead, Outcome::Answer);
        if outcome == Outcome::Dead {
            self.absent.insert(query.to.point, now + ABSENT_FOR);
        }
        self.close(query, outcome, now);
    }

    fn handle_notify(&mut self, to: Point, from: Finger) {
        self.learn(from);
        self.absent.remove(&from.point);
        let Self { config, slots, census, .. } = self;
        let Some(member) = slots.get_mut(&to).and_then(|slot| slot.member.as_mut()) else { return };
        member.handle_notify(from, gives_way(config.me, census));
        if member.successors().is_empty() {
            member.propose(from);
        }
        self.rectify(to);
    }

    fn rectify(&mut self, point: Point) {
        let Self { config, slots, census, .. } = self;
        if let Some(member) = slots.get_mut(&point).and_then(|slot| slot.member.as_mut()) {
            member.rectify(gives_way(config.me, census));
        }
    }

    /// Nothing was heard. Of a node that the membership does not even know, nobody else will say that it is dead.
    fn give_up(&mut self, queries: Vec<u64>, steps: Vec<u64>, now: Instant) {
        let (known, unknown): (Vec<u64>, Vec<u64>) = queries.into_iter().partition(|number| {
            let node = self.queries[number].to.node;
            node == self.config.me || self.census.knows(node)
        });
        self.close_all(known, &Outcome::Silence, now);
        self.close_all(unknown, &Outcome::Dead, now);
        steps.into_iter().for_each(|number| self.handle_step(number, None, now));
        self.deliver_own(now);
    }

    fn close_all(&mut self, numbers: Vec<u64>, outcome: &Outcome<Finger>, now: Instant) {
        for number in numbers {
            if let Some(query) = self.queries.remove(&number) {
                self.close(query, outcome.clone(), now);
            }
        }
    }

    fn queries_where(&self, holds: impl Fn(&Self, &Query) -> bool) -> Vec<u64> {
        self.queries.iter().filter(|(_, query)| holds(self, query)).map(|(number, _)| *number).collect()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.outbox.entry(to).or_default().push(message);
    }

    /// What virtual nodes of this node tell each other does not leave it.
    fn deliver_own(&mut self, now: Instant) {
        let me = self.config.me;
        while let Some(messages) = self.outbox.remove(&me) {
            messages.into_iter().for_each(|message| self.dispatch(me, message, now));
        }
    }
}

/// Who makes room for any other predecessor: the dead, and whom the membership does not know, since it will not
/// say when that one dies.
fn gives_way(me: NodeId, census: &Census) -> impl Fn(Finger) -> bool {
    move |finger| finger.node != me && (census.health(finger.node) == Health::Dead || !census.knows(finger.node))
}
