//! One virtual node: Chord's ring maintenance by Zave's corrected rules ("Reasoning about identifier spaces:
//! how to make Chord correct", IEEE TSE 43(12), 2017).
//!
//! The machine knows neither messages nor time: it says whom to ask and takes the outcome. So the node's
//! [`super::Ring`], the simulator and the exhaustive model of a small ring run the very same transitions. A
//! pointer is adopted only from an answer and together with its list; while a question is open its own state
//! is nobody's business; a list may become empty but never names its owner.
//!
//! Where Zave pads a shortened list with the next number of the identifier space, the list stays shorter until
//! it is adopted anew: a made-up identifier means nothing among 2^160.

/// How long a successor list is kept.
pub trait ListRule<P> {
    /// Cuts `list`, which goes clockwise from `me`.
    fn cut(&self, me: P, list: &mut Vec<P>);
}

/// Lists of at most so many entries, as in Zave's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMost(pub usize);

impl<P> ListRule<P> for AtMost {
    fn cut(&self, _: P, list: &mut Vec<P>) {
        list.truncate(self.0);
    }
}

/// What a member answers when it is asked for its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Neighbours<P> {
    /// Zave's `prdc`.
    pub predecessor: Option<P>,
    /// Zave's `succList`, the closest first.
    pub successors: Vec<P>,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<P> {
    /// The member answered.
    Answer(Neighbours<P>),
    /// The one that was asked is no member: the membership says that it is down, or it said so itself.
    Dead,
    /// Nothing is known: no answer in time, or the question was given up. Changes nothing.
    Silence,
}

/// A question on its way. While one is open the state is not shown to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Open<P> {
    /// The first half of stabilize: to the first successor.
    Successor(P),
    /// The second half: to a candidate that may lie between this node and its successor.
    Candidate(P),
}

/// A member of the ring. `P` is a position on the circle, unique to its member, compared by [`between`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualNode<P> {
    me: P,
    predecessor: Option<P>,
    successors: Vec<P>,
    candidate: Option<P>,
    rectify_with: Option<P>,
    open: Option<Open<P>>,
}

/// Whether `x` lies strictly inside the arc from `start` clockwise to `end`; from a point to itself the arc is
/// the whole circle.
pub fn between<P: Ord>(start: P, x: P, end: P) -> bool {
    if start < end { start < x && x < end } else { x > start || x < end }
}

impl<P: Copy + Ord> VirtualNode<P> {
    /// A member of the first ring, whose members are all known: the one right before it, and those behind it,
    /// as many as the rule may keep. The ring starts whole, not from one node that grows (TSE 2017, section 4).
    #[must_use]
    pub fn genesis(me: P, predecessor: Option<P>, mut successors: Vec<P>, rule: &impl ListRule<P>) -> Self {
        rule.cut(me, &mut successors);
        successors.shrink_to_fit();
        Self { me, predecessor, successors, candidate: None, rectify_with: None, open: None }
    }

    /// `me` joins behind the member `before`, which gave this answer: in one step it takes over the whole list
    /// and its predecessor (TSE 2017, Join). `None` if `me` does not belong right behind `before` any more, or if
    /// `before` has not yet noticed that an earlier life of `me` ended; then look again.
    #[must_use]
    pub fn join(me: P, before: P, answer: Neighbours<P>, rule: &impl ListRule<P>) -> Option<Self> {
        let mut successors = answer.successors;
        match successors.first() {
            // A ring of one has no other successor to offer; who was in a larger one has lost its way itself.
            None if answer.predecessor.is_none() => successors.push(before),
            None => return None,
            Some(first) if between(before, me, *first) => {}
            Some(_) => return None,
        }
        rule.cut(me, &mut successors);
        let predecessor = Some(before);
        Some(Self { me, predecessor, successors, candidate: None, rectify_with: None, open: None })
    }

    /// Its position.
    #[must_use]
    pub fn position(&self) -> P {
        self.me
    }

    /// The member before it, as far as it knows.
    #[must_use]
    pub fn predecessor(&self) -> Option<P> {
        self.predecessor
    }

    /// The members behind it, as far as it knows, the closest first. Empty in a ring of one, and when all that
    /// were known have died.
    #[must_use]
    pub fn successors(&self) -> &[P] {
        &self.successors
    }

    /// Who may be a closer successor and will be asked.
    #[must_use]
    pub fn candidate(&self) -> Option<P> {
        self.candidate
    }

    /// Who notified it and has not been looked at.
    #[must_use]
    pub fn notifier(&self) -> Option<P> {
        self.rectify_with
    }

    /// The same member in a ring whose positions have other names.
    #[must_use]
    pub fn renamed<Q: Copy + Ord>(&self, name: impl Fn(P) -> Q) -> VirtualNode<Q> {
        VirtualNode {
            me: name(self.me),
            predecessor: self.predecessor.map(&name),
            successors: self.successors.iter().map(|successor| name(*successor)).collect(),
            candidate: self.candidate.map(&name),
            rectify_with: self.rectify_with.map(&name),
            open: self.open.map(|open| match open {
                Open::Successor(to) => Open::Successor(name(to)),
                Open::Candidate(to) => Open::Candidate(name(to)),
            }),
        }
    }

    /// Whom the open question went to.
    #[must_use]
    pub fn asking(&self) -> Option<P> {
        self.open.map(|(Open::Successor(to) | Open::Candidate(to))| to)
    }

    /// Its state for another member; `None` while a question of its own is open, since the answer may change it
    /// (TSE 2017, section 3: operations are atomic for others).
    #[must_use]
    pub fn neighbours(&self) -> Option<Neighbours<P>> {
        self.open.is_none().then(|| Neighbours { predecessor: self.predecessor, successors: self.successors.clone() })
    }

    /// Begins a round of stabilize: whom to ask for its state. `None` while a question is open, or if no
    /// successor is known.
    #[must_use]
    pub fn ask_successor(&mut self) -> Option<P> {
        if self.open.is_some() {
            return None;
        }
        let first = *self.successors.first()?;
        self.open = Some(Open::Successor(first));
        Some(first)
    }

    /// Goes on with the candidate, if there is one that may be a closer successor: whom to ask.
    #[must_use]
    pub fn ask_candidate(&mut self) -> Option<P> {
        if self.open.is_some() {
            return None;
        }
        let candidate = self.candidate.filter(|candidate| self.is_closer(*candidate));
        self.candidate = candidate;
        self.open = candidate.map(Open::Candidate);
        candidate
    }

    /// Somebody says that `x` is a member. If it would be a closer successor, and closer than the candidate, it
    /// becomes the candidate: it is asked before it is adopted.
    pub fn propose(&mut self, x: P) {
        let closer_than = |candidate| between(self.me, x, candidate);
        if self.is_closer(x) && !self.open.is_some_and(|open| matches!(open, Open::Candidate(_))) {
            self.candidate = self.candidate.filter(|candidate| !closer_than(*candidate)).or(Some(x));
        }
    }

    /// The open question has ended. Returns whom to notify of this node.
    #[must_use]
    pub fn handle_outcome(&mut self, outcome: Outcome<P>, rule: &impl ListRule<P>) -> Option<P> {
        match self.open.take()? {
            Open::Successor(successor) => self.stabilize_from_successor(successor, outcome, rule),
            Open::Candidate(candidate) => self.stabilize_from_candidate(candidate, outcome, rule),
        }
    }

    /// `from` believes that this node is its successor. One slot remembers the closest until
    /// [`VirtualNode::rectify`].
    pub fn handle_notify(&mut self, from: P, dead: impl Fn(P) -> bool) {
        let closer = |slot: P| dead(slot) || between(slot, from, self.me);
        if from != self.me && self.rectify_with.is_none_or(closer) {
            self.rectify_with = Some(from);
        }
    }

    /// Takes the notifier for its predecessor if it is closer than the present one, or if that one is dead
    /// (TSE 2017, Rectify). Not while a question is open. A dead predecessor stays until somebody replaces it.
    pub fn rectify(&mut self, dead: impl Fn(P) -> bool) {
        if self.open.is_some() {
            return;
        }
        if let Some(from) = self.rectify_with.take()
            && self.predecessor.is_none_or(|predecessor| between(predecessor, from, self.me) || dead(predecessor))
        {
            self.predecessor = Some(from);
        }
    }

    fn is_closer(&self, x: P) -> bool {
        x != self.me && self.successors.first().is_none_or(|first| between(self.me, x, *first))
    }

    fn adopt(&mut self, successor: P, list: Vec<P>, rule: &impl ListRule<P>) {
        self.successors.clear();
        self.successors.push(successor);
        self.successors.extend(list);
        rule.cut(self.me, &mut self.successors);
    }

    fn stabilize_from_successor(&mut self, successor: P, outcome: Outcome<P>, rule: &impl ListRule<P>) -> Option<P> {
        match outcome {
            Outcome::Silence => None,
            Outcome::Dead => {
                // One at a time: the next is asked in its own round.
                self.successors.remove(0);
                self.successors.first().copied()
            }
            Outcome::Answer(answer) => {
                self.adopt(successor, answer.successors, rule);
                match answer.predecessor {
                    Some(between) if self.is_closer(between) => {
                        self.candidate = Some(between);
                        None
                    }
                    // It knows.
                    Some(me) if me == self.me => None,
                    _ => Some(successor),
                }
            }
        }
    }

    fn stabilize_from_candidate(&mut self, candidate: P, outcome: Outcome<P>, rule: &impl ListRule<P>) -> Option<P> {
        self.candidate = None;
        if let Outcome::Answer(answer) = outcome {
            self.adopt(candidate, answer.successors, rule);
        }
        self.successors.first().copied()
    }
}

#[cfg(test)]
mod tests;
