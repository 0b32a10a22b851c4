//! One round of a proposal: a request to every member, and what has been answered so far.

use super::change::Decision;
use crate::id::NodeId;
use crate::register::Ballot;
use crate::register::message::{Accepted, Reply, Request};
use crate::time::Instant;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Reading,
    Preparing,
    Accepting,
}

/// The answers for one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) granted: usize,
    pub(super) denied: usize,
    /// The accepted value with the highest ballot among the answers.
    pub(super) newest: Accepted,
    /// Distinct accepted values with how many members hold each; as many as the view has members at most.
    held: Vec<(Accepted, usize)>,
}

impl Tally {
    /// What `quorum` members hold alike.
    pub(super) fn agreed(&self, quorum: usize) -> Option<&Accepted> {
        self.held.iter().find(|(_, count)| *count >= quorum).map(|(accepted, _)| accepted)
    }

    fn hold(&mut self, accepted: Accepted) {
        self.granted += 1;
        match self.held.iter_mut().find(|(held, _)| held.ballot == accepted.ballot) {
            Some((_, count)) => *count += 1,
            None => self.held.push((accepted.clone(), 1)),
        }
        if accepted.ballot > self.newest.ballot {
            self.newest = accepted;
        }
    }
}

#[derive(Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    pub(super) stage: Stage,
    /// Positions of the proposal's items, in the order of the request.
    pub(super) items: Vec<usize>,
    pub(super) request: Request,
    /// When accepting: what is decided for each of `items`.
    pub(super) planned: Vec<Decision>,
    pub(super) tallies: Vec<Tally>,
    pub(super) replied: BTreeSet<NodeId>,
    /// Members that said they cannot serve this view.
    pub(super) refused: BTreeSet<NodeId>,
    pub(super) sent_at: Instant,
    pub(super) resends: u32,
}

impl Round {
    pub(super) fn new(number: u64, stage: Stage, items: Vec<usize>, request: Request, sent_at: Instant) -> Self {
        let tallies = vec![Tally::default(); items.len()];
        Self {
            number,
            stage,
            items,
            request,
            planned: Vec::new(),
            tallies,
            replied: BTreeSet::new(),
            refused: BTreeSet::new(),
            sent_at,
            resends: 0,
        }
    }

    /// Counts a member's first answer; returns the highest ballot seen in it.
    pub(super) fn record(&mut self, from: NodeId, reply: Reply) -> Option<Ballot> {
        if self.replied.contains(&from) || self.refused.contains(&from) {
            return None;
        }
        let (stage, keys) = (self.stage, self.items.len());
        match reply {
            Reply::Read(answers) if stage == Stage::Reading && answers.len() == keys => {
                self.replied.insert(from);
                answers.into_iter().zip(&mut self.tallies).map(|(accepted, tally)| held(tally, accepted)).max()
            }
            Reply::Prepare(answers) if stage == Stage::Preparing && answers.len() == keys => {
                self.replied.insert(from);
                answers.into_iter().zip(&mut self.tallies).map(|(answer, tally)| counted(tally, answer, held)).max()
            }
            Reply::Accept(answers) if stage == Stage::Accepting && answers.len() == keys => {
                self.replied.insert(from);
                answers.into_iter().zip(&mut self.tallies).map(|(answer, tally)| counted(tally, answer, granted)).max()
            }
            // A refusal, or an answer that does not fit the question.
            _ => {
                self.refused.insert(from);
                None
            }
        }
    }
}

fn held(tally: &mut Tally, accepted: Accepted) -> Ballot {
    let ballot = accepted.ballot;
    tally.hold(accepted);
    ballot
}

fn granted(tally: &mut Tally, (): ()) -> Ballot {
    tally.granted += 1;
    Ballot::default()
}

fn counted<T>(tally: &mut Tally, answer: Result<T, Ballot>, count: impl Fn(&mut Tally, T) -> Ballot) -> Ballot {
    match answer {
        Ok(answer) => count(tally, answer),
        Err(higher) => {
            tally.denied += 1;
            higher
        }
    }
}
