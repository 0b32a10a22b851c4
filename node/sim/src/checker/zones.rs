//! The zones algorithm of Gibbons and Korach (1997) for registers whose written values are all different.
//!
//! A value's cluster is its write and the reads that returned it. Its zone lies between the first answer and the
//! last question in the cluster. A history is linearizable exactly if no read ended before its write began, no
//! two forward zones overlap, and no backward zone lies inside a forward one. Here every change is a write of its
//! operation's number, and preconditions and versions are ignored: the verdict is a necessary condition.

use crate::history::{Action, Call, Seen};
use std::collections::BTreeMap;

#[derive(Clone, Copy)]
struct Cluster {
    write: Option<(u64, u64)>,
    first_answer: u64,
    first_read_answer: u64,
    last_question: u64,
}

impl Cluster {
    const EMPTY: Self = Self { write: None, first_answer: u64::MAX, first_read_answer: u64::MAX, last_question: 0 };

    fn add(&mut self, invoked: u64, returned: u64) {
        self.first_answer = self.first_answer.min(returned);
        self.last_question = self.last_question.max(invoked);
    }
}

/// Whether the values in the calls on one key could have come from one register.
#[must_use]
pub fn check(calls: &[Call]) -> bool {
    let Some(clusters) = clusters(calls) else { return false };
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for cluster in clusters {
        if cluster.first_answer < cluster.last_question {
            forward.push((cluster.first_answer, cluster.last_question));
        } else {
            backward.push((cluster.last_question, cluster.first_answer));
        }
    }
    forward.sort_unstable();
    let apart = forward.windows(2).all(|pair| pair[0].1 < pair[1].0);
    apart && backward.iter().all(|zone| !inside_one(*zone, &forward))
}

/// `None` if a value was read that nobody wrote, or that was read before it was written.
fn clusters(calls: &[Call]) -> Option<Vec<Cluster>> {
    let untouched = Cluster { write: Some((0, 0)), first_answer: 0, ..Cluster::EMPTY };
    let mut clusters = BTreeMap::from([(0, untouched)]);
    for call in calls {
        let value = match call.seen {
            Seen::Done(state) | Seen::Conflict(state) => state.operation,
            Seen::Unknown => call.operation,
            Seen::Absent | Seen::Refused => continue,
        };
        let changes = call.action != Action::Read && !matches!(call.seen, Seen::Conflict(_));
        let cluster = clusters.entry(value).or_insert(Cluster::EMPTY);
        cluster.add(call.invoked, call.returned);
        if value == call.operation && changes {
            cluster.write = Some((call.invoked, call.returned));
        } else {
            cluster.first_read_answer = cluster.first_read_answer.min(call.returned);
        }
    }
    // An unanswered write that nobody saw may never have happened.
    clusters.retain(|_, cluster| cluster.first_answer != u64::MAX);
    let explained = |cluster: &Cluster| cluster.write.is_some_and(|(invoked, _)| invoked <= cluster.first_read_answer);
    clusters.values().all(explained).then(|| clusters.into_values().collect())
}

/// Whether `zone` lies inside one of `forward`, which are sorted and apart.
fn inside_one(zone: (u64, u64), forward: &[(u64, u64)]) -> bool {
    let after = forward.partition_point(|(start, _)| *start < zone.0);
    after > 0 && zone.1 < forward[after - 1].1
}
