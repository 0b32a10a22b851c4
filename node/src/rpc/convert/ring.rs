//! Chord: wire types to core types and back.

use super::{Checked, Malformed, fixed, node, owned};
use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Finger, MAX_LIST, Message, Neighbours, Step};
use scrapering_proto::v1;
use v1::ring_message::{Answer, Find, Found, Message as Wire, Notify, Query};

/// The point of a lookup.
pub fn point(bytes: &[u8]) -> Checked<Point> {
    fixed(bytes, "point").map(Point)
}

/// A step of a lookup.
pub fn step(reply: v1::StepReply) -> Checked<Step> {
    if reply.successors.is_empty() {
        return Ok(Step::Closer(fingers(reply.closer)?));
    }
    let before = fingers(reply.before)?;
    if before.is_empty() {
        return Err(Malformed("before"));
    }
    Ok(Step::Successors { before, successors: fingers(reply.successors)? })
}

/// The inverse of [`step`].
#[must_use]
pub fn step_to_wire(step: Step) -> v1::StepReply {
    match step {
        Step::Successors { before, successors } => v1::StepReply {
            successors: fingers_to_wire(successors),
            before: fingers_to_wire(before),
            closer: Vec::new(),
        },
        Step::Closer(closer) => {
            v1::StepReply { successors: Vec::new(), before: Vec::new(), closer: fingers_to_wire(closer) }
        }
    }
}

/// Messages from `sender`; its virtual nodes speak only for themselves.
pub fn messages(sender: NodeId, messages: Vec<v1::RingMessage>) -> Checked<Vec<Message>> {
    messages.into_iter().map(|message| self::message(sender, message)).collect()
}

/// The inverse of [`messages`].
#[must_use]
pub fn messages_to_wire(messages: Vec<Message>) -> Vec<v1::RingMessage> {
    messages.into_iter().map(|message| v1::RingMessage { message: Some(message_to_wire(message)) }).collect()
}

fn message(sender: NodeId, message: v1::RingMessage) -> Checked<Message> {
    let own = |bytes: &[u8]| Ok(Finger { point: point(bytes)?, node: sender });
    Ok(match message.message.ok_or(Malformed("message"))? {
        Wire::Query(Query { number, to, from }) => Message::Query { number, to: point(&to)?, from: own(&from)? },
        Wire::Answer(Answer { number, member, predecessor, successors }) => {
            let neighbours =
                Neighbours { predecessor: predecessor.map(finger).transpose()?, successors: fingers(successors)? };
            Message::Answer { number, neighbours: member.then_some(neighbours) }
        }
        Wire::Notify(Notify { to, from }) => Message::Notify { to: point(&to)?, from: own(&from)? },
        Wire::Find(Find { number, target }) => Message::Find { number, target: point(&target)? },
        Wire::Found(Found { number, step }) => {
            Message::Found { number, step: self::step(step.ok_or(Malformed("step"))?)? }
        }
    })
}

fn message_to_wire(message: Message) -> Wire {
    match message {
        Message::Query { number, to, from } => {
            Wire::Query(Query { number, to: owned(&to.0), from: owned(&from.point.0) })
        }
        Message::Answer { number, neighbours } => {
            let member = neighbours.is_some();
            let nobody = Neighbours { predecessor: None, successors: Vec::new() };
            let Neighbours { predecessor, successors } = neighbours.unwrap_or(nobody);
            let predecessor = predecessor.map(finger_to_wire);
            Wire::Answer(Answer { number, member, predecessor, successors: fingers_to_wire(successors) })
        }
        Message::Notify { to, from } => Wire::Notify(Notify { to: owned(&to.0), from: owned(&from.point.0) }),
        Message::Find { number, target } => Wire::Find(Find { number, target: owned(&target.0) }),
        Message::Found { number, step } => Wire::Found(Found { number, step: Some(step_to_wire(step)) }),
    }
}

fn finger(finger: v1::Finger) -> Checked<Finger> {
    Ok(Finger { point: point(&finger.point)?, node: node(&finger.node)? })
}

fn finger_to_wire(finger: Finger) -> v1::Finger {
    v1::Finger { point: owned(&finger.point.0), node: owned(&finger.node.0) }
}

fn fingers(fingers: Vec<v1::Finger>) -> Checked<Vec<Finger>> {
    if fingers.len() > MAX_LIST {
        return Err(Malformed("successors"));
    }
    fingers.into_iter().map(finger).collect()
}

fn fingers_to_wire(fingers: Vec<Finger>) -> Vec<v1::Finger> {
    fingers.into_iter().map(finger_to_wire).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn finger(number: u8) -> Finger {
        Finger { point: Point([number; 20]), node: NodeId([number; 20]) }
    }

    #[test]
    fn what_is_told_is_what_arrives() {
        let (sender, number, point) = (NodeId([1; 20]), 7, Point([9; 20]));
        let answer = |predecessor| Neighbours { predecessor, successors: vec![finger(4), finger(5)] };
        let told = vec![
            Message::Query { number, to: point, from: finger(1) },
            Message::Answer { number, neighbours: None },
            Message::Answer { number, neighbours: Some(answer(Some(finger(3)))) },
            Message::Answer { number, neighbours: Some(answer(None)) },
            Message::Notify { to: point, from: finger(1) },
            Message::Find { number, target: point },
            Message::Found { number, step: Step::Closer(vec![finger(2)]) },
            Message::Found { number, step: Step::Successors { before: vec![finger(2)], successors: vec![finger(3)] } },
        ];
        assert_eq!(messages(sender, messages_to_wire(told.clone())), Ok(told));
    }

    #[test]
    fn a_node_speaks_only_for_its_own_virtual_nodes() {
        let notify = Message::Notify { to: Point([9; 20]), from: finger(1) };
        let heard = messages(NodeId([2; 20]), messages_to_wire(vec![notify]));
        let from = Finger { node: NodeId([2; 20]), ..finger(1) };
        assert_eq!(heard, Ok(vec![Message::Notify { to: Point([9; 20]), from }]));
    }

    #[test]
    fn what_no_peer_sends_is_refused_with_the_field() {
        let endless = v1::StepReply { closer: vec![finger_to_wire(finger(1)); MAX_LIST + 1], ..Default::default() };
        assert_eq!(step(endless), Err(Malformed("successors")));
        let headless = v1::StepReply { successors: vec![finger_to_wire(finger(1))], ..Default::default() };
        assert_eq!(step(headless), Err(Malformed("before")));
        let short = v1::Finger { point: Bytes::from_static(b"short"), ..finger_to_wire(finger(1)) };
        assert_eq!(step(v1::StepReply { closer: vec![short], ..Default::default() }), Err(Malformed("point")));
        assert_eq!(messages(NodeId([1; 20]), vec![v1::RingMessage { message: None }]), Err(Malformed("message")));
    }
}
