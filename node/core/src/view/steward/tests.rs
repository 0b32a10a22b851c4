//! When a node changes a view, and when it leaves it alone.

use super::*;
use crate::view::Epoch;

const PARTITION: Partition = Partition(7);

/// A node's sight of one partition; of all others it knows nothing, or only that it serves them.
struct Sight {
    me: NodeId,
    view: Arc<View>,
    standing: Standing,
    serves_all: bool,
    holds_something: bool,
    down: BTreeMap<NodeId, Instant>,
}

impl Outlook for Sight {
    fn me(&self) -> NodeId {
        self.me
    }
    fn view(&self, _partition: Partition) -> Arc<View> {
        Arc::clone(&self.view)
    }
    fn standing(&self, partition: Partition) -> Option<Standing> {
        (self.serves_all || partition == PARTITION).then_some(self.standing)
    }
    fn holds_something(&self, _partition: Partition) -> bool {
        self.holds_something
    }
    fn liveness(&self, node: NodeId) -> Liveness {
        if self.down.contains_key(&node) { Liveness::Down } else { Liveness::Alive }
    }
    fn down_since(&self, node: NodeId) -> Option<Instant> {
        self.down.get(&node).copied()
    }
}

fn at(seconds: u64) -> Instant {
    Instant(Duration::from_secs(seconds))
}

/// Seven nodes, and the sight of the first member of the partition's view.
fn ring() -> (Placement, Sight) {
    let placement = Placement::new((0..7).map(|number| NodeId::new(&format!("ring-{number}"), 1)));
    let view = View::genesis(placement.desired(PARTITION.last_point(), |_| true));
    let me = view.members[0];
    let sight = Sight {
        me,
        view: Arc::new(view),
        standing: Standing::Active,
        serves_all: false,
        holds_something: true,
        down: BTreeMap::new(),
    };
    (placement, sight)
}

#[test]
fn a_view_whose_members_are_the_right_ones_is_left_alone() {
    let (placement, sight) = ring();
    let mut steward = Steward::default();
    for seconds in [0, 100, 1_000] {
        assert_eq!(steward.duties(&sight, &placement, at(seconds)), []);
    }
}

#[test]
fn a_node_has_arrived_when_it_serves_all_that_it_should_keep() {
    let (placement, mut sight) = ring();
    assert!(!has_arrived(&sight, &placement, at(0)));
    sight.serves_all = true;
    assert!(has_arrived(&sight, &placement, at(0)));
    sight.standing = Standing::Sealed;
    assert!(!has_arrived(&sight, &placement, at(0)));
}

#[test]
fn a_node_that_is_down_is_replaced_when_it_has_been_so_for_a_minute() {
    let (placement, mut sight) = ring();
    let lost = sight.view.members[2];
    sight.down.insert(lost, at(10));
    let mut steward = Steward::default();
    let before = 10 + REPLACE_AFTER.as_secs();
    for seconds in [10, before - 1, before, before + HYSTERESIS.as_secs() - 1] {
        assert_eq!(steward.duties(&sight, &placement, at(seconds)), []);
    }
    let duties = steward.duties(&sight, &placement, at(before + HYSTERESIS.as_secs()));
    let [Duty::Move { partition: PARTITION, desired }] = &duties[..] else { panic!("{duties:?}") };
    assert!(!desired.contains(&lost) && desired.len() == 5);
}

#[test]
fn a_view_is_not_changed_while_those_who_should_be_its_members_change() {
    let (placement, mut sight) = ring();
    let rest: Vec<NodeId> = placement.successors(PARTITION.last_point(), 7);
    let mut steward = Steward::default();
    for (seconds, gone) in [(0, rest[1]), (4, rest[2]), (8, rest[1]), (12, rest[2])] {
        let placement = Placement::new(rest.iter().copied().filter(|node| *node != gone));
        assert_eq!(steward.duties(&sight, &placement, at(seconds)), []);
    }
    let placement = Placement::new(rest.iter().copied().filter(|node| *node != rest[2]));
    assert_eq!(steward.duties(&sight, &placement, at(17)).len(), 1);
    // Only the first member that is alive does it.
    sight.me = sight.view.members[1];
    assert_eq!(Steward::default().duties(&sight, &placement, at(17)), []);
    let mut second = Steward::default();
    sight.down.insert(sight.view.members[0], at(17));
    let seconds = [17, 17 + HYSTERESIS.as_secs()];
    assert_eq!(seconds.map(|seconds| second.duties(&sight, &placement, at(seconds)).len()), [0, 1]);
}

#[test]
fn a_sealed_partition_is_opened_again_by_the_first_member_and_then_by_the_next() {
    let (placement, mut sight) = ring();
    sight.standing = Standing::Sealed;
    let again = vec![Duty::Move { partition: PARTITION, desired: sight.view.members.clone() }];
    for (rank, seconds) in [(0, 2), (1, 4), (4, 10)] {
        sight.me = sight.view.members[rank];
        let mut steward = Steward::default();
        let looks = [0, seconds - 1, seconds].map(|seconds| steward.duties(&sight, &placement, at(seconds)));
        assert_eq!(looks, [Vec::new(), Vec::new(), again.clone()]);
    }
}

#[test]
fn a_copy_is_deleted_only_where_it_is_not_wanted_any_more() {
    let (placement, mut sight) = ring();
    let others: Vec<NodeId> = placement.successors(PARTITION.last_point(), 7).split_off(5);
    sight.standing = Standing::Former;
    sight.me = others[0];
    let retire = [Duty::Retire { partition: PARTITION }];
    let mut steward = Steward::default();
    assert_eq!(steward.duties(&sight, &placement, at(0)), retire);
    assert_eq!(steward.duties(&sight, &placement, at(1)), [], "not again at once");
    assert_eq!(steward.duties(&sight, &placement, at(6)), retire);
    // A member to be: it left the view and is to come back into it.
    let members = [&sight.view.members[1..], &others[..1]].concat();
    let former = sight.view.members[0];
    sight.view = Arc::new(View { epoch: Epoch(2), ..View::genesis(members) });
    sight.me = former;
    assert_eq!(Steward::default().duties(&sight, &placement, at(0)), []);
    assert!(!has_arrived(&sight, &placement, at(0)));
}
