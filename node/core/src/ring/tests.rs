//! Rings that talk to each other: what one virtual node's rules come to when a node has many.

use super::*;
use proptest::prelude::*;

fn node(number: u32) -> NodeId {
    NodeId::new(&format!("ring-{number}"), 1)
}

fn config(me: NodeId, virtual_nodes: u32) -> Config {
    Config { me, virtual_nodes, successor_nodes: SUCCESSOR_NODES, first_number: 0 }
}

/// Nodes whose messages arrive at once.
struct Nodes {
    rings: BTreeMap<NodeId, Ring>,
    now: Instant,
    virtual_nodes: u32,
    batches: usize,
}

impl Nodes {
    fn new(size: u32, virtual_nodes: u32) -> Self {
        let ids: Vec<NodeId> = (0..size).map(node).collect();
        let finger = |node: NodeId| census::points(node, virtual_nodes).map(move |point| Finger { point, node });
        let tokens: BTreeSet<Finger> = ids.iter().flat_map(|id| finger(*id)).collect();
        let now = Instant::default();
        let ring = |id: &NodeId| (*id, Ring::genesis(config(*id, virtual_nodes), &tokens, now));
        let mut nodes = Self { rings: ids.iter().map(ring).collect(), now, virtual_nodes, batches: 0 };
        nodes.tell_members(&BTreeMap::new());
        nodes
    }

    /// Everybody hears that all are alive but those in `others`.
    fn tell_members(&mut self, others: &BTreeMap<NodeId, Health>) {
        let all: BTreeMap<NodeId, Health> = self.rings.keys().map(|id| (*id, Health::Alive)).collect();
        let known = |health: &Health| Known { health: *health, virtual_nodes: self.virtual_nodes };
        let table: BTreeMap<NodeId, Known> =
            all.iter().chain(others).map(|(id, health)| (*id, known(health))).collect();
        for (id, ring) in &mut self.rings {
            ring.handle_members(
                table.iter().filter(|(node, _)| *node != id).map(|(n, k)| (*n, *k)).collect(),
                self.now,
            );
        }
        self.deliver();
    }

    fn die(&mut self, dead: &[NodeId]) {
        dead.iter().for_each(|id| drop(self.rings.remove(id)));
        self.tell_members(&dead.iter().map(|id| (*id, Health::Dead)).collect());
    }

    fn deliver(&mut self) {
        let ids: Vec<NodeId> = self.rings.keys().copied().collect();
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for id in &ids {
                while let Some((to, messages)) = self.rings.get_mut(id).and_then(Ring::poll_transmit) {
                    (quiet, self.batches) = (false, self.batches + 1);
                    match self.rings.get_mut(&to) {
                        Some(ring) => {
                            messages.into_iter().for_each(|message| ring.handle_message(*id, message, self.now))
                        }
                        None => self.rings.get_mut(id).expect("it sent").handle_unreachable(to, self.now),
                    }
                }
            }
        }
    }

    fn run(&mut self, periods: u32) {
        for _ in 0..periods {
            self.now = self.now + PERIOD;
            for id in self.rings.keys().copied().collect::<Vec<_>>() {
                self.rings.get_mut(&id).expect("nobody dies meanwhile").handle_timeout(self.now);
                self.deliver();
            }
        }
    }

    fn clockwise(&self) -> Vec<Finger> {
        let members = self.rings.values().flat_map(Ring::members).map(VirtualNode::position);
        members.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether everybody knows exactly who is before and behind.
    fn are_in_order(&self) -> bool {
        let clockwise = self.clockwise();
        let follows = |(index, own): (usize, &Finger)| {
            let member = self.rings[&own.node].members().find(|member| member.position() == *own).expect("it is one");
            let behind = clockwise[index + 1..].iter().chain(&clockwise[..index]);
            let list = member.successors();
            !list.is_empty()
                && behind.clone().take(list.len()).eq(list)
                && member.predecessor().as_ref() == behind.last()
                && others(list, own.node) == SUCCESSOR_NODES.min(self.rings.len() - 1)
        };
        self.rings.values().all(Ring::has_joined) && clockwise.iter().enumerate().all(follows)
    }
}

fn others(list: &[Finger], me: NodeId) -> usize {
    list.iter().map(|finger| finger.node).filter(|node| *node != me).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_ring_begins_whole_and_stays_so_with_few_messages_zave_section_4() {
    let mut nodes = Nodes::new(6, 32);
    assert!(nodes.are_in_order());
    nodes.run(5);
    assert!(nodes.are_in_order());
    nodes.batches = 0;
    nodes.run(10);
    let each = nodes.batches as f64 / 60.0;
    assert!(each <= 12.0, "{each} batches a node and period: a question and an answer for each neighbour, and some");
}

#[test]
fn lists_name_four_other_nodes_however_many_virtual_nodes_stand_side_by_side() {
    for (size, expected) in [(2, 1), (3, 2), (5, 4), (9, 4)] {
        for ring in Nodes::new(size, 32).rings.values() {
            for member in ring.members() {
                assert_eq!(others(member.successors(), ring.me()), expected);
            }
        }
    }
}

#[test]
fn when_two_nodes_die_at_once_every_virtual_node_has_a_living_successor_and_the_ring_heals() {
    let mut nodes = Nodes::new(6, 32);
    nodes.die(&[node(1), node(4)]);
    let dead = |finger: &Finger| [node(1), node(4)].contains(&finger.node);
    for member in nodes.rings.values().flat_map(Ring::members) {
        assert!(member.successors().iter().any(|successor| !dead(successor)));
    }
    nodes.run(8);
    assert!(nodes.are_in_order());
}

#[test]
fn a_list_of_which_everybody_died_is_made_anew_from_the_membership() {
    let mut nodes = Nodes::new(10, 1);
    let lost = nodes.clockwise();
    let dead: Vec<NodeId> = lost[1..=4].iter().map(|finger| finger.node).collect();
    nodes.die(&dead);
    nodes.run(6);
    assert!(nodes.are_in_order());
}

#[test]
fn a_new_node_joins_with_all_its_virtual_nodes() {
    let mut nodes = Nodes::new(5, 8);
    nodes.rings.insert(node(9), Ring::joining(config(node(9), 8), nodes.now));
    nodes.tell_members(&BTreeMap::new());
    nodes.run(8);
    assert!(nodes.are_in_order());
}

#[test]
fn a_ring_of_one_is_its_own_successor_in_lookups_only_and_grows() {
    let mut nodes = Nodes::new(1, 1);
    nodes.run(3);
    let alone = &nodes.rings[&node(0)];
    assert!(alone.members().all(|member| member.successors().is_empty()));
    let (found, path) = alone.lookup(Point([7; 20])).into_outcome();
    assert_eq!((found.map(|found| found.successor().node), path.len()), (Some(node(0)), 0));
    nodes.rings.insert(node(1), Ring::joining(config(node(1), 1), nodes.now));
    nodes.tell_members(&BTreeMap::new());
    nodes.run(4);
    assert!(nodes.are_in_order());
}

#[test]
fn a_node_that_does_not_answer_is_not_dead_until_the_membership_says_so() {
    let mut nodes = Nodes::new(5, 1);
    let silent = nodes.clockwise()[1];
    let before = nodes.clockwise()[0].node;
    nodes.rings.remove(&silent.node);
    nodes.run(3);
    let first = |nodes: &Nodes| nodes.rings[&before].members().next().expect("it has one").successors()[0];
    assert_eq!(first(&nodes), silent);
    nodes.tell_members(&BTreeMap::from([(silent.node, Health::Dead)]));
    nodes.run(3);
    assert_ne!(first(&nodes), silent);
    assert!(nodes.are_in_order());
}

#[test]
fn of_a_node_that_the_membership_does_not_know_a_silence_is_enough() {
    let mut nodes = Nodes::new(5, 1);
    let silent = nodes.clockwise()[1];
    nodes.rings.remove(&silent.node);
    nodes.tell_members(&BTreeMap::new());
    nodes.run(4);
    assert!(nodes.are_in_order());
}

#[test]
fn two_rings_find_together_through_the_first_members_chord_section_7() {
    let mut nodes = Nodes::new(6, 4);
    let halves: [Vec<NodeId>; 2] = [(0..3).map(node).collect(), (3..6).map(node).collect()];
    let gone =
        |half: &Vec<NodeId>| half.iter().map(|id| (*id, Known { health: Health::Dead, virtual_nodes: 4 })).collect();
    for (half, other) in [(&halves[0], &halves[1]), (&halves[1], &halves[0])] {
        half.iter().for_each(|id| nodes.rings.get_mut(id).expect("it is there").handle_members(gone(other), nodes.now));
    }
    nodes.run(6);
    assert!(!nodes.are_in_order());
    // They do not hear of each other, but one name leads from each half to the other.
    for (id, ring) in &mut nodes.rings {
        let unknown = halves.iter().find(|half| half.contains(id)).expect("in one of them").iter();
        let known =
            unknown.filter(|other| *other != id).map(|id| (*id, Known { health: Health::Alive, virtual_nodes: 4 }));
        ring.handle_members(known.collect(), nodes.now);
        ring.set_landmarks(vec![node(0), node(5)]);
    }
    nodes.run(400);
    let whole: BTreeSet<NodeId> =
        nodes.rings.values().flat_map(Ring::members).map(|m| m.successors()[0].node).collect();
    let clockwise = nodes.clockwise();
    let wrong = clockwise.iter().enumerate().filter(|(index, own)| {
        let next = clockwise[(index + 1) % clockwise.len()];
        nodes.rings[&own.node].members().all(|m| m.position() != **own || m.successors()[0] != next)
    });
    assert_eq!((wrong.count(), whole.len()), (0, 6));
}

/// The second and third virtual node of a ring, with a query of the second to the third on its way.
fn query(nodes: &mut Nodes, asker: Finger) -> Message {
    let ring = nodes.rings.get_mut(&asker.node).expect("it is there");
    ring.handle_timeout(nodes.now + PERIOD);
    let sent = std::iter::from_fn(|| ring.poll_transmit()).flat_map(|(_, messages)| messages);
    let query = sent.into_iter().find(|message| matches!(message, Message::Query { .. }));
    query.expect("a round begins with a query")
}

fn answers(ring: &mut Ring) -> usize {
    let sent = std::iter::from_fn(|| ring.poll_transmit()).flat_map(|(_, messages)| messages);
    sent.filter(|message| matches!(message, Message::Answer { .. })).count()
}

#[test]
fn who_asks_one_that_is_asking_is_answered_when_that_has_ended_zave_section_3() {
    let mut nodes = Nodes::new(5, 1);
    let clockwise = nodes.clockwise();
    let (first, second, third) = (clockwise[1], clockwise[2], clockwise[3]);
    let (of_first, of_second) = (query(&mut nodes, first), query(&mut nodes, second));
    let now = nodes.now + PERIOD;
    let asked = nodes.rings.get_mut(&second.node).expect("it is there");
    asked.handle_message(first.node, of_first, now);
    assert_eq!(answers(asked), 0, "it does not show what may change");
    asked.handle_message(first.node, Message::Find { number: 1, target: Point([1; 20]) }, now);
    assert!(asked.poll_transmit().is_some(), "what is no state is answered at once");
    let last = nodes.rings.get_mut(&third.node).expect("it is there");
    last.handle_message(second.node, of_second, now);
    let answer = last.take_for(second.node).pop().expect("it is not busy");
    let asked = nodes.rings.get_mut(&second.node).expect("it is there");
    asked.handle_message(third.node, answer, now);
    assert_eq!(answers(asked), 1);
}

#[test]
fn nodes_never_wait_for_each_other_in_a_circle() {
    let mut nodes = Nodes::new(5, 1);
    nodes.now = nodes.now + PERIOD;
    // All ask at the same moment.
    nodes.rings.values_mut().for_each(|ring| ring.handle_timeout(nodes.now));
    let asking = |nodes: &Nodes| nodes.rings.values().flat_map(Ring::members).filter(|m| m.asking().is_some()).count();
    assert_eq!(asking(&nodes), 5);
    nodes.deliver();
    assert_eq!(asking(&nodes), 0);
    assert!(nodes.are_in_order());
}

fn look_up(nodes: &Nodes, from: NodeId, target: Point) -> (Option<Found>, Vec<Hop>) {
    let asker = &nodes.rings[&from];
    let mut lookup = asker.lookup(target);
    while let Some(node) = lookup.poll_transmit(|node| asker.health(node)) {
        let step = nodes.rings.get(&node).map(|ring| ring.step(target));
        lookup.handle_reply(node, step, |node| asker.health(node));
    }
    lookup.into_outcome()
}

fn owner(nodes: &Nodes, target: Point) -> Finger {
    let clockwise = nodes.clockwise();
    clockwise[clockwise.partition_point(|finger| finger.point < target) % clockwise.len()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_node_finds_the_same_successor_of_every_point(target in any::<[u8; 20]>(), size in 1_u32..12) {
        let (nodes, target) = (Nodes::new(size, 4), Point(target));
        for from in nodes.rings.keys() {
            let (found, _) = look_up(&nodes, *from, target);
            prop_assert_eq!(found.map(|found| found.successor()), Some(owner(&nodes, target)));
        }
    }
}

#[test]
fn a_lookup_asks_no_more_nodes_than_half_the_logarithm_of_the_ring_chord_theorem_2() {
    let nodes = Nodes::new(64, 32);
    let mut asked = 0;
    for number in 0..500_u32 {
        let (found, path) = look_up(&nodes, node(number % 64), Point::of(&number.to_be_bytes()));
        assert!(found.is_some());
        asked += path.len();
    }
    assert!(asked as f64 / 500.0 <= 3.0, "{asked}");
}

#[test]
fn nobody_who_is_known_to_be_dead_is_asked_or_named_and_a_suspect_only_when_nobody_else_is_left() {
    let mut nodes = Nodes::new(16, 4);
    let dead = [node(3), node(7)];
    let suspects = BTreeMap::from([(node(5), Health::Suspect)]);
    dead.iter().for_each(|id| drop(nodes.rings.remove(id)));
    let asker = nodes.rings.get_mut(&node(0)).expect("it is there");
    let known = |id: NodeId| Known {
        health: if dead.contains(&id) { Health::Dead } else { *suspects.get(&id).unwrap_or(&Health::Alive) },
        virtual_nodes: 4,
    };
    asker.handle_members((1..16).map(|number| (node(number), known(node(number)))).collect(), nodes.now);
    let mut suspects_asked = 0;
    for number in 0..300_u32 {
        let (found, path) = look_up(&nodes, node(0), Point::of(&number.to_be_bytes()));
        let found = found.expect("two of sixteen leave enough ways");
        assert!(!found.successors.iter().any(|finger| dead.contains(&finger.node)));
        assert!(!path.iter().any(|hop| dead.contains(&hop.node)));
        suspects_asked += path.iter().filter(|hop| hop.node == node(5)).count();
    }
    assert_eq!(suspects_asked, 0);
}
