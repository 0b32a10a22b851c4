//! The stages of a reconfiguration, one after the other.

use super::{
    BACKOFF, BTreeMap, BTreeSet, Ballot, GRACE, Guard, Instant, Interrupted, Mode, Next, NodeId, Outcome,
    Reconfiguration, Request, Root, SPREAD_TIMEOUT, Standing, View, is_quorum,
};

/// A member's promise.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) accepted: Option<(Ballot, Next)>,
    pub(super) root: Root,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// After a lost race.
    Resting { until: Instant },
    /// Members are asked to promise.
    Sealing,
    /// Our copy becomes the newest of all, from these nodes, one after the other.
    Merging { sources: Vec<NodeId> },
    /// Our copy becomes what a predecessor had accepted.
    Copying { next: Next },
    /// Our copy is final, and asked for its fingerprint.
    Measuring { root: Option<Root> },
    /// New members are told of the present view.
    Introducing { next: Next },
    /// Members' copies become ours.
    Spreading { next: Next },
    /// Members are asked to accept.
    Deciding { next: Next },
    /// Members are told.
    Installing,
}

impl Reconfiguration {
    /// Asks every member of the present view to promise a fresh ballot.
    pub(super) fn seal(&mut self, now: Instant) {
        self.ballot = self.clock.next();
        self.promises.clear();
        self.transfers.clear();
        self.alike.clear();
        let request = Request::Seal { ballot: self.ballot };
        let requests = self.view.members.iter().map(|member| (*member, request.clone())).collect();
        self.enter(Stage::Sealing, requests, now);
    }

    /// Goes on to the next stage where the present one has said all it can, or all it is waited for.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.outcome.is_some() {
            return;
        }
        match &self.stage {
            Stage::Resting { .. } => {}
            Stage::Sealing => self.advance_sealing(now),
            Stage::Merging { .. } => self.advance_merging(now),
            Stage::Copying { .. } | Stage::Spreading { .. } => self.advance_transfers(now),
            Stage::Measuring { root } => {
                if let Some(root) = *root {
                    let next = Next { members: self.desired.clone(), fingerprint: root.fingerprint };
                    self.introduce(next, now);
                }
            }
            Stage::Introducing { next } => {
                let waited = now.since(self.stage_since) >= GRACE * 5;
                if self.unanswered.is_empty() || waited {
                    let next = next.clone();
                    self.spread(next, now);
                }
            }
            Stage::Deciding { .. } => self.advance_deciding(now),
            Stage::Installing => self.advance_installing(),
        }
    }

    /// Whether a majority has promised, this node among them.
    pub(super) fn has_enough_promises(&self) -> bool {
        let promised: BTreeSet<NodeId> = self.promises.keys().copied().collect();
        self.quorum_of_present(&promised) && promised.contains(&self.me)
    }

    fn advance_sealing(&mut self, now: Instant) {
        if self.denied.len() > self.view.members.len() - self.needed || self.denied.contains(&self.me) {
            return self.rest(now);
        }
        if !self.has_enough_promises() || (!self.unanswered.is_empty() && now.since(self.stage_since) < GRACE) {
            return;
        }
        let newest = self.promises.values().filter_map(|promise| promise.accepted.clone()).max_by_key(|(at, _)| *at);
        let mine = self.promises[&self.me].root;
        match newest {
            Some((_, next)) if next.fingerprint == mine.fingerprint => self.introduce(next, now),
            Some((_, next)) => self.copy(next, now),
            None => {
                let others = self.promises.iter().filter(|(_, promise)| promise.root.fingerprint != mine.fingerprint);
                let sources = others.map(|(node, _)| *node).collect();
                self.enter(Stage::Merging { sources }, BTreeMap::new(), now);
                self.advance_merging(now);
            }
        }
    }

    /// Lost a race: another ballot after a pause.
    fn rest(&mut self, now: Instant) {
        self.transfers.clear();
        let span = BACKOFF * (1 << self.attempts.min(7));
        self.attempts += 1;
        let until = now + span.mul_f64(self.jitter.next());
        self.enter(Stage::Resting { until }, BTreeMap::new(), now);
    }

    fn advance_merging(&mut self, now: Instant) {
        if !self.settle_transfers(now) || !self.transfers.is_empty() {
            return;
        }
        let Stage::Merging { sources } = &mut self.stage else { return };
        match sources.pop() {
            Some(source) => self.transfer(source, self.me, Mode::Newer, Guard::Sealed(self.ballot), now),
            None => {
                let requests = BTreeMap::from([(self.me, Request::Status)]);
                self.enter(Stage::Measuring { root: None }, requests, now);
            }
        }
    }

    pub(super) fn measured(&mut self, measured: Root) {
        if let Stage::Measuring { root } = &mut self.stage {
            *root = Some(measured);
        }
    }

    /// Takes a predecessor's start state from a member that holds it.
    fn copy(&mut self, next: Next, now: Instant) {
        let holder = self.promises.iter().find(|(_, promise)| promise.root.fingerprint == next.fingerprint);
        // Nobody who answered holds it: another majority may.
        let Some((holder, _)) = holder else { return self.rest(now) };
        let holder = *holder;
        self.enter(Stage::Copying { next }, BTreeMap::new(), now);
        self.transfer(holder, self.me, Mode::Exact, Guard::Sealed(self.ballot), now);
    }

    /// Whoever is not a member yet must know the present view before it can learn.
    fn introduce(&mut self, next: Next, now: Instant) {
        let request = Request::Install(self.view.clone());
        let newcomers = next.members.iter().filter(|node| !self.view.has(**node));
        let requests = newcomers.map(|node| (*node, request.clone())).collect();
        self.enter(Stage::Introducing { next }, requests, now);
        self.advance(now);
    }

    /// Makes every copy the same as ours: those of the members that promised, and of the new members.
    fn spread(&mut self, next: Next, now: Instant) {
        let start = next.fingerprint;
        self.alike = BTreeSet::from([self.me]);
        let mut targets = Vec::new();
        for (node, promise) in &self.promises {
            if promise.root.fingerprint == start {
                self.alike.insert(*node);
            } else if *node != self.me {
                targets.push((*node, Guard::Sealed(self.ballot)));
            }
        }
        // Those that did not answer the introduction are told again when the view is installed.
        let present = next.members.iter().filter(|node| !self.view.has(**node) && !self.unanswered.contains_key(node));
        targets.extend(present.map(|node| (*node, Guard::Learner)));
        self.enter(Stage::Spreading { next }, BTreeMap::new(), now);
        for (target, guard) in targets {
            self.transfer(self.me, target, Mode::Exact, guard, now);
        }
        self.advance(now);
    }

    /// Takes what has ended off the list; `false` if the whole cannot go on.
    fn settle_transfers(&mut self, now: Instant) -> bool {
        let ended: Vec<u32> =
            self.transfers.iter().filter(|(_, transfer)| transfer.poll_outcome().is_some()).map(|(c, _)| *c).collect();
        for channel in ended {
            let Some(transfer) = self.transfers.remove(&channel) else { continue };
            match transfer.poll_outcome() {
                Some(Err(Interrupted::Stale(view))) if self.decided.is_none() => {
                    self.finish(Outcome::Superseded(view.clone()));
                    return false;
                }
                // Without what a promised member holds nothing can be decided; without its being alike it can.
                Some(Err(_)) if matches!(self.stage, Stage::Merging { .. } | Stage::Copying { .. }) => {
                    self.rest(now);
                    return false;
                }
                Some(Ok(_)) => {
                    self.alike.insert(transfer.target());
                }
                _ => {}
            }
        }
        true
    }

    fn advance_transfers(&mut self, now: Instant) {
        if !self.settle_transfers(now) {
            return;
        }
        match &self.stage {
            Stage::Copying { next } if self.transfers.is_empty() => {
                let next = next.clone();
                self.introduce(next, now);
            }
            Stage::Spreading { next } => {
                let out_of_time = now.since(self.stage_since) >= SPREAD_TIMEOUT;
                let enough = self.quorum_of_present(&self.alike) && is_quorum(&next.members, &self.alike);
                let all = self.transfers.is_empty();
                if all && !enough || out_of_time && !self.quorum_of_present(&self.alike) {
                    self.abandon_newcomers(now);
                } else if enough && (all || out_of_time || now.since(self.stage_since) >= GRACE) {
                    let next = next.clone();
                    self.decide(next, now);
                } else if out_of_time {
                    self.abandon_newcomers(now);
                }
            }
            _ => {}
        }
    }

    /// Too few of the next members can be reached: unless a predecessor had decided otherwise, the present ones
    /// go on.
    fn abandon_newcomers(&mut self, now: Instant) {
        let Stage::Spreading { next } = &self.stage else { return };
        let is_ours = self.promises.values().all(|promise| promise.accepted.is_none());
        if is_ours && self.quorum_of_present(&self.alike) {
            let next = Next { members: self.view.members.clone(), ..next.clone() };
            self.decide(next, now);
        } else if self.quorum_of_present(&self.alike) {
            let next = next.clone();
            self.decide(next, now);
        } else {
            self.rest(now);
        }
    }

    fn decide(&mut self, next: Next, now: Instant) {
        let request = Request::Decide { ballot: self.ballot, next: next.clone() };
        let members = self.view.members.iter().filter(|member| self.alike.contains(member));
        let requests = members.map(|member| (*member, request.clone())).collect();
        self.serving.clear();
        self.enter(Stage::Deciding { next }, requests, now);
    }

    fn advance_deciding(&mut self, now: Instant) {
        let Stage::Deciding { next } = &self.stage else { return };
        if self.quorum_of_present(&self.serving) {
            let next = next.clone();
            return self.install(next, now);
        }
        let lost = self.view.members.len() - self.denied.len() < self.needed;
        if lost || now.since(self.stage_since) >= SPREAD_TIMEOUT {
            self.rest(now);
        }
    }

    /// The next view is decided: tells its members, and those who are members no more.
    fn install(&mut self, next: Next, now: Instant) {
        let Next { members, fingerprint: start } = next;
        let view = View { epoch: self.view.epoch.next(), members, start };
        let request = Request::Install(view.clone());
        let everybody = view.members.iter().chain(&self.view.members);
        let requests = everybody.map(|node| (*node, request.clone())).collect();
        self.serving.clear();
        self.transfers.clear();
        self.decided = Some(view);
        self.enter(Stage::Installing, requests, now);
    }

    pub(super) fn installed(&mut self, node: NodeId, standing: Standing, known: View) {
        let Some(view) = &self.decided else { return };
        match standing {
            // Later epochs begin only where this one was served.
            _ if known.epoch > view.epoch => {
                self.serving.insert(node);
            }
            Standing::Active | Standing::Sealed => {
                self.serving.insert(node);
            }
            Standing::Pending => {
                self.alike.remove(&node);
                self.unanswered.insert(node, Request::Install(view.clone()));
            }
            Standing::Former | Standing::Outside => {}
        }
    }

    fn advance_installing(&mut self) {
        let Some(view) = &self.decided else { return };
        // A member that does not hold the state fetches it: nobody else writes into a copy that is about to be
        // finished.
        if is_quorum(&view.members, &self.serving) {
            let view = view.clone();
            self.finish(Outcome::Installed(view));
        }
    }
}
