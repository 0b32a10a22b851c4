//! Which step follows from which sight; above all, what is never concluded.

use super::*;
use crate::ring::report::{Liveness, Node, Own, Report, Serving, Views};

fn name(ordinal: u32) -> String {
    format!("main-{ordinal}.main-peers.web.svc")
}

fn identity(ordinal: u32, generation: u64) -> Identity {
    Identity { name: name(ordinal), id: format!("id-{ordinal}-{generation}"), generation }
}

fn node(ordinal: u32) -> Node {
    Node {
        identity: identity(ordinal, 1),
        zone: String::new(),
        liveness: Liveness::Alive,
        serving: Serving::Serving,
        copies: 256,
    }
}

/// A ring of `replicas` nodes where everything is as it should be.
fn whole(replicas: u32) -> Sight {
    let ordinals = 0..replicas;
    let report = |own: u32| Report {
        ring_id: "ab".to_owned(),
        own: Own { identity: identity(own, 1), serving: Serving::Serving, left: false },
        nodes: ordinals.clone().map(node).collect(),
        left: Vec::new(),
        tolerates: 2,
        views: Views::default(),
    };
    let pod = |ordinal: u32| Pod {
        uid: format!("pod-{ordinal}"),
        revision: "one".to_owned(),
        is_ready: true,
        ..Pod::default()
    };
    let claim = |ordinal: u32| Claim { uid: format!("claim-{ordinal}"), is_bound: true, bytes: 10, ..Claim::default() };
    Sight {
        desired: replicas,
        names: (0..replicas + 3).map(|ordinal| (ordinal, name(ordinal))).collect(),
        workload: Workload {
            replicas,
            partition: replicas,
            update_revision: "one".to_owned(),
            is_observed: true,
            uid: "workload".to_owned(),
            is_terminating: false,
            claim_bytes: 10,
        },
        size: Size { text: "10".to_owned(), bytes: 10, is_refused: false },
        pods: ordinals.clone().map(|ordinal| (ordinal, pod(ordinal))).collect(),
        claims: ordinals.clone().map(|ordinal| (ordinal, claim(ordinal))).collect(),
        reports: ordinals.clone().map(|ordinal| (ordinal, report(ordinal))).collect(),
        replace: None,
    }
}

impl Sight {
    /// What all say of the node `of`.
    fn all_say(&mut self, of: u32, change: impl Fn(&mut Node)) {
        for report in self.reports.values_mut() {
            report.nodes.iter_mut().filter(|node| node.identity.name == name(of)).for_each(&change);
        }
    }

    /// The node leaves.
    fn leaves(&mut self, ordinal: u32) {
        self.all_say(ordinal, |node| node.serving = Serving::Leaving);
        self.reports.get_mut(&ordinal).expect("it speaks").own.serving = Serving::Leaving;
    }

    /// The node has left, and everybody has heard of it.
    fn has_left(&mut self, ordinal: u32) {
        for (speaker, report) in &mut self.reports {
            report.nodes.retain(|node| node.identity.name != name(ordinal));
            report.left.push(identity(ordinal, 1));
            report.own.left = *speaker == ordinal;
        }
    }

    fn falls_silent(&mut self, ordinal: u32) {
        self.reports.remove(&ordinal);
    }

    fn loses_pod(&mut self, ordinal: u32) {
        self.pods.remove(&ordinal);
        self.falls_silent(ordinal);
    }
}

/// The word of the next step, with the ordinal, and whether anything is done.
fn word(sight: &Sight) -> (&'static str, Option<u32>, bool) {
    next(sight).map_or(("", None, false), |step| (step.word, step.ordinal, step.action != Action::Wait))
}

fn proof(ordinal: u32, witnesses: usize) -> Proof {
    Proof::Left { node: identity(ordinal, 1), witnesses }
}

#[test]
fn a_ring_as_asked_for_needs_nothing() {
    assert_eq!(next(&whole(5)), None);
    assert_eq!(next(&whole(1)), None);
}

#[test]
fn a_ring_that_is_not_formed_is_only_waited_for() {
    let mut sight = whole(3);
    sight.reports.clear();
    sight.desired = 5;
    assert_eq!(word(&sight), ("WaitingForNodes", None, false));
}

#[test]
fn nodes_are_added_one_by_one_each_after_the_one_before_takes_part() {
    let mut sight = whole(3);
    sight.desired = 5;
    let step = next(&sight).expect("a step");
    assert_eq!((step.kind, step.action), (Kind::ScaleOut, Action::Raise { to: 4 }));
    let mut sight = whole(4);
    sight.desired = 5;
    sight.all_say(3, |node| node.serving = Serving::Joining);
    assert_eq!(word(&sight), ("Joining", Some(3), false));
    let mut sight = whole(4);
    sight.desired = 5;
    sight.reports.values_mut().for_each(|report| report.views.moving = 7);
    assert_eq!(word(&sight), ("WaitingForRing", Some(4), false));
    let mut sight = whole(4);
    sight.desired = 5;
    sight.loses_pod(3);
    assert_eq!(word(&sight), ("WaitingForNode", Some(3), false));
}

#[test]
fn lost_pods_never_lower_the_number_of_nodes() {
    let mut sight = whole(5);
    sight.loses_pod(4);
    sight.loses_pod(3);
    assert_eq!(next(&sight), None);
    sight.all_say(4, |node| node.liveness = Liveness::Dead);
    assert_eq!(next(&sight), None);
}

#[test]
fn the_last_node_leaves_then_its_pod_goes_then_its_volume() {
    let mut sight = whole(5);
    sight.desired = 4;
    assert_eq!(next(&sight).expect("a step").action, Action::Leave { node: identity(4, 1) });
    sight.leaves(4);
    assert_eq!(word(&sight), ("HandingOver", Some(4), false));
    sight.has_left(4);
    let lower = Action::Lower { to: 4, pod_uid: Some("pod-4".to_owned()), proof: proof(4, 4) };
    assert_eq!(next(&sight).expect("a step").action, lower);
    sight.workload.replicas = 4;
    sight.workload.partition = 4;
    assert_eq!(word(&sight), ("WaitingForPod", Some(4), false));
    sight.loses_pod(4);
    let delete = Action::DeleteClaim { uid: "claim-4".to_owned(), proof: proof(4, 4) };
    assert_eq!(next(&sight).expect("a step").action, delete);
    sight.claims.get_mut(&4).expect("a claim").is_terminating = true;
    assert_eq!(word(&sight), ("WaitingForVolume", Some(4), false));
    sight.claims.remove(&4);
    assert_eq!(next(&sight), None);
}

/// What is wrong, and how it is brought about.
type Spoilt = (&'static str, fn(&mut Sight));

#[test]
fn nobody_leaves_while_the_ring_is_not_whole() {
    let troubles: [Spoilt; 8] = [
        ("too few copies", |sight| sight.reports.get_mut(&1).expect("speaks").views.under_replicated = 1),
        ("no majority", |sight| sight.reports.get_mut(&1).expect("speaks").views.unavailable = 1),
        ("moving", |sight| sight.reports.get_mut(&1).expect("speaks").views.moving = 1),
        ("another silent", |sight| sight.falls_silent(2)),
        ("another not ready", |sight| sight.pods.get_mut(&2).expect("a pod").is_ready = false),
        ("another gone", |sight| sight.loses_pod(2)),
        ("another suspected", |sight| sight.all_say(2, |node| node.liveness = Liveness::Suspect)),
        ("another joins", |sight| sight.all_say(2, |node| node.serving = Serving::Joining)),
    ];
    for (trouble, change) in troubles {
        let mut sight = whole(5);
        sight.desired = 4;
        change(&mut sight);
        let step = next(&sight).expect("a step");
        assert_eq!(step.action, Action::Wait, "{trouble}: {}", step.message);
    }
}

#[test]
fn a_silent_node_is_waited_for_until_the_ring_has_given_it_up() {
    let mut sight = whole(5);
    sight.desired = 4;
    sight.falls_silent(4);
    assert_eq!(word(&sight), ("NodeUnreachable", Some(4), false));
    sight.loses_pod(4);
    sight.all_say(4, |node| node.liveness = Liveness::Dead);
    assert_eq!(next(&sight).expect("a step").action, Action::Leave { node: identity(4, 1) });
    // One who does not agree is enough to wait.
    let one = sight.reports.get_mut(&1).expect("speaks");
    one.nodes.iter_mut().for_each(|node| node.liveness = Liveness::Alive);
    assert_eq!(word(&sight), ("NodeUnreachable", Some(4), false));
}

#[test]
fn that_a_node_has_left_needs_the_word_of_every_other_one() {
    let doubts: [Spoilt; 7] = [
        ("one has not heard of it", |sight| sight.reports.get_mut(&2).expect("speaks").left.clear()),
        ("one is silent", |sight| sight.falls_silent(2)),
        ("one still counts on it", |sight| sight.reports.get_mut(&2).expect("speaks").nodes.push(node(4))),
        ("one speaks of another life", |sight| {
            sight.reports.get_mut(&2).expect("speaks").left = vec![identity(4, 99)];
        }),
        ("something has too few copies", |sight| {
            sight.reports.get_mut(&2).expect("speaks").views.under_replicated = 3;
        }),
        ("the pod is another node by now", |sight| {
            let own = &mut sight.reports.get_mut(&4).expect("speaks").own;
            (own.left, own.identity.generation, own.serving) = (false, 7, Serving::Joining);
        }),
        ("the pod left in another life", |sight| {
            sight.reports.get_mut(&4).expect("speaks").own.identity = identity(4, 7);
        }),
    ];
    for (doubt, change) in doubts {
        let mut sight = whole(5);
        sight.desired = 4;
        sight.has_left(4);
        assert!(sight.proof_of_leaving(4).is_ok());
        change(&mut sight);
        assert!(sight.proof_of_leaving(4).is_err(), "{doubt}");
        let step = next(&sight).expect("a step");
        assert!(!matches!(step.action, Action::Lower { .. } | Action::DeleteClaim { .. }), "{doubt}: {step:?}");
    }
}

#[test]
fn a_stale_word_of_a_former_life_removes_nobody() {
    // A node of this name left once; today's has the same name, another id, and takes part.
    let mut sight = whole(5);
    sight.reports.values_mut().for_each(|report| report.left.push(identity(4, 0)));
    assert_eq!(next(&sight), None);
    sight.desired = 4;
    assert_eq!(next(&sight).expect("a step").action, Action::Leave { node: identity(4, 1) });
    // The same while today's pod is starting and nobody knows it yet, and it is wanted.
    let mut sight = whole(5);
    sight.has_left(4);
    sight.falls_silent(4);
    assert_eq!(next(&sight), None);
}

#[test]
fn a_volume_whose_node_is_not_known_to_have_left_stays() {
    let mut sight = whole(4);
    sight.claims.insert(4, Claim { uid: "claim-4".to_owned(), ..Claim::default() });
    assert_eq!(next(&sight), None);
    // Also when it would be in the way: the node that comes back to it is the one it was.
    sight.desired = 5;
    assert_eq!(next(&sight).expect("a step").action, Action::Raise { to: 5 });
}

#[test]
fn a_leave_is_finished_before_the_ring_grows_again() {
    let mut sight = whole(5);
    sight.leaves(4);
    sight.desired = 6;
    assert_eq!(word(&sight), ("HandingOver", Some(4), false));
    sight.has_left(4);
    assert!(matches!(next(&sight).expect("a step").action, Action::Lower { to: 4, .. }));
    sight.workload.replicas = 4;
    sight.loses_pod(4);
    assert!(matches!(next(&sight).expect("a step").action, Action::DeleteClaim { .. }));
    sight.claims.remove(&4);
    assert_eq!(next(&sight).expect("a step").action, Action::Raise { to: 5 });
}

#[test]
fn a_node_in_the_middle_that_was_made_to_leave_by_hand_comes_back_as_a_new_one() {
    let mut sight = whole(5);
    sight.leaves(2);
    assert_eq!(word(&sight), ("HandingOver", Some(2), false));
    sight.has_left(2);
    let restart = Action::DeletePod { uid: "pod-2".to_owned(), proof: proof(2, 4) };
    assert_eq!(next(&sight).expect("a step").action, restart);
    // Its next pod is silent while it starts: that is not a node that left.
    sight.falls_silent(2);
    assert_eq!(next(&sight), None);
}

#[test]
fn a_node_that_died_while_it_was_leaving_is_let_go_by_the_others() {
    let mut sight = whole(5);
    sight.desired = 4;
    sight.leaves(4);
    sight.falls_silent(4);
    assert_eq!(word(&sight), ("HandingOver", Some(4), false));
    sight.all_say(4, |node| node.liveness = Liveness::Dead);
    assert_eq!(next(&sight).expect("a step").action, Action::Leave { node: identity(4, 1) });
}

#[test]
fn an_update_takes_one_node_after_the_other_from_the_last_while_the_ring_is_whole() {
    let mut sight = whole(3);
    sight.workload.update_revision = "two".to_owned();
    for ordinal in [2, 1, 0] {
        assert_eq!(next(&sight).expect("a step").action, Action::Partition { to: ordinal });
        sight.workload.partition = ordinal;
        assert_eq!(word(&sight), ("WaitingForNode", Some(ordinal), false));
        let pod = sight.pods.get_mut(&ordinal).expect("a pod");
        (pod.revision, pod.is_ready) = ("two".to_owned(), false);
        assert_eq!(word(&sight), ("WaitingForNode", Some(ordinal), false));
        sight.pods.get_mut(&ordinal).expect("a pod").is_ready = true;
        sight.reports.values_mut().for_each(|report| report.views.under_replicated = 1);
        if ordinal > 0 {
            assert_eq!(word(&sight), ("WaitingForRing", Some(ordinal - 1), false));
        }
        sight.reports.values_mut().for_each(|report| report.views.under_replicated = 0);
    }
    assert_eq!(next(&sight).expect("a step").action, Action::Partition { to: 3 });
    sight.workload.partition = 3;
    assert_eq!(next(&sight), None);
}

#[test]
fn a_broken_revision_stops_at_the_first_node_and_a_mended_one_goes_on() {
    let mut sight = whole(3);
    sight.workload.update_revision = "two".to_owned();
    sight.workload.partition = 2;
    let pod = sight.pods.get_mut(&2).expect("a pod");
    (pod.revision, pod.is_ready) = ("two".to_owned(), false);
    pod.failure = Some("ImagePullBackOff".to_owned());
    sight.falls_silent(2);
    let step = next(&sight).expect("a step");
    assert!(step.is_stuck && step.word == "NodeFails" && step.action == Action::Wait, "{step:?}");
    // The mended revision reaches that node by itself, since it may be updated already.
    sight.workload.update_revision = "three".to_owned();
    sight.workload.is_observed = false;
    assert_eq!(word(&sight), ("WaitingForRevision", None, false));
    let mut mended = whole(3);
    (mended.workload.update_revision, mended.workload.partition) = ("three".to_owned(), 2);
    mended.pods.get_mut(&2).expect("a pod").revision = "three".to_owned();
    assert_eq!(next(&mended).expect("a step").action, Action::Partition { to: 1 });
}

#[test]
fn a_disk_that_was_given_up_is_replaced_by_the_exact_identity_of_its_pod() {
    let mut sight = whole(3);
    sight.replace = Some(Replace { pod_uid: "pod-1".to_owned() });
    sight.falls_silent(1);
    let given_up = Proof::GivenUp { pod_uid: "pod-1".to_owned() };
    let volume = Action::DeleteClaim { uid: "claim-1".to_owned(), proof: given_up.clone() };
    assert_eq!(next(&sight).expect("a step").action, volume);
    sight.claims.get_mut(&1).expect("a claim").is_terminating = true;
    assert_eq!(next(&sight).expect("a step").action, Action::DeletePod { uid: "pod-1".to_owned(), proof: given_up });
    sight.pods.get_mut(&1).expect("a pod").uid = "pod-1b".to_owned();
    assert_eq!(next(&sight), None, "the new pod is another one");
    let mut sight = whole(3);
    sight.replace = Some(Replace { pod_uid: "pod-1".to_owned() });
    sight.falls_silent(0);
    assert_eq!(word(&sight), ("WaitingForRing", Some(1), false), "another node must not be missing");
}

#[test]
fn volumes_grow_one_by_one_and_then_the_workload_is_made_anew() {
    let mut sight = whole(3);
    sight.size = Size { text: "20".to_owned(), bytes: 20, is_refused: false };
    // One that somebody made larger already stays as it is.
    sight.claims.get_mut(&1).expect("a claim").bytes = 30;
    // A full disk keeps its node from serving, and is why the volumes shall grow.
    sight.falls_silent(2);
    for ordinal in [0, 2] {
        let grow = Action::Grow { uid: format!("claim-{ordinal}"), to: "20".to_owned() };
        assert_eq!(next(&sight).expect("a step").action, grow);
        sight.claims.get_mut(&ordinal).expect("a claim").bytes = 20;
    }
    let renew = Action::Renew { uid: "workload".to_owned() };
    assert_eq!(next(&sight).expect("a step").action, renew);
    sight.workload.is_terminating = true;
    assert_eq!(word(&sight), ("WaitingForWorkload", None, false));
    (sight.workload.is_terminating, sight.workload.claim_bytes) = (false, 20);
    assert_eq!(next(&sight), None);
}

#[test]
fn volumes_that_do_not_grow_hold_up_nothing_else() {
    let growing = || {
        let mut sight = whole(3);
        sight.size = Size { text: "20".to_owned(), bytes: 20, is_refused: false };
        sight.workload.update_revision = "two".to_owned();
        sight
    };
    let mut refused = growing();
    refused.size.is_refused = true;
    assert_eq!(next(&refused).expect("a step").kind, Kind::Update);
    let mut unbound = growing();
    unbound.claims.values_mut().for_each(|claim| claim.is_bound = false);
    assert_eq!(next(&unbound).expect("a step").kind, Kind::Update);
    // All of them have grown: the workload is renewed when the update is over, not in the midst of it.
    let mut updating = growing();
    updating.claims.values_mut().for_each(|claim| claim.bytes = 20);
    assert_eq!(next(&updating).expect("a step").kind, Kind::Update);
    // A claim beyond the last node would become a node of the new workload.
    let mut beyond = growing();
    beyond.workload.update_revision = "one".to_owned();
    beyond.claims.values_mut().for_each(|claim| claim.bytes = 20);
    let last = beyond.claims[&2].clone();
    beyond.claims.insert(3, last);
    assert_eq!(next(&beyond), None);
}

#[test]
fn operations_come_in_their_order() {
    let mut sight = whole(4);
    sight.workload.update_revision = "two".to_owned();
    sight.desired = 3;
    assert_eq!(next(&sight).expect("a step").kind, Kind::Update);
    sight.size.bytes = 20;
    assert_eq!(next(&sight).expect("a step").kind, Kind::Expand);
    sight.desired = 5;
    assert_eq!(next(&sight).expect("a step").kind, Kind::ScaleOut);
    sight.replace = Some(Replace { pod_uid: "pod-1".to_owned() });
    assert_eq!(next(&sight).expect("a step").kind, Kind::Replace);
    sight.leaves(3);
    assert_eq!(next(&sight).expect("a step").kind, Kind::ScaleIn);
}
