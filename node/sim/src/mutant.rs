//! The protocol with one rule taken out. A rule that can go without anybody noticing is no rule: each of these
//! must be caught, and the tests below name them.
//!
//! Nothing here reaches production code: mutants stand between the world and the machines ([`crate::rules`]).

mod acceptor;
mod body;
mod govern;
mod proposer;
mod replica;

use crate::rules::{Carry, FetchBody, Move, Propose, PutBody, Rules, Start};
use crate::wire::Answer;
use crate::world::Profile;
use proposer::{Early, EarlyAnswer, Forgetful, Hasty, Impatient, Stubborn, Twice};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use scrapering_core::body::{BodyFetch, BodyHash, BodyPut};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::{Acceptor, Envelope, Reply};
use scrapering_core::store::{StoreError, Transaction};
use scrapering_core::time::Instant;
use scrapering_core::view::message::Reply as ViewReply;
use scrapering_core::view::{Recovery, View};
use std::collections::BTreeMap;

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $name:ident = $slug:literal, $rule:literal;)+) => {
        /// Which rule is missing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The mutant's name on the command line.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            /// The rule that it breaks.
            #[must_use]
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$name => $rule,)+ }
            }
        }
    };
}

mutants! {
    /// An unfinished change is silently started anew.
    RetryAfterAccept = "retry-after-accept", "a change is not repeated after its accept was sent";
    /// A node restarts under its identity with an empty disk.
    Amnesia = "amnesia", "a node that lost its disk is another node";
    /// A compare-and-set that fails answers from what was prepared.
    FailedCasWithoutAccept = "failed-cas-without-accept", "a failed compare-and-set writes back before it answers";
    /// A read takes the newest of a majority.
    ReadMax = "read-max", "a read needs a majority that agrees";
    /// Answers leave before the fsync.
    ReplyBeforeFsync = "reply-before-fsync", "an answer waits for its fsync";
    /// Promises leave before the fsync, acceptances after it.
    PromiseBeforeFsync = "promise-before-fsync", "a promise waits for its fsync";
    /// An acceptor accepts below its promise.
    AcceptBelowPromise = "accept-below-promise", "nothing is accepted below the promise";
    /// An acceptor promises below its promise.
    PromiseBelowPromise = "promise-below-promise", "nothing is promised below the promise";
    /// A restarted process counts its ballots from 1 under the same identity.
    BallotReuse = "ballot-reuse", "a restarted process never uses a ballot again";
    /// A restarted process goes on from an old note of its counter, under the same identity.
    StaleCounter = "stale-counter", "a restarted process is another proposer, whatever counter it remembers";
    /// Three in ten coordinators use a member list of their own under the same epoch.
    OwnMemberList = "own-member-list", "an epoch has one list of members";
    /// Acceptors answer in any epoch.
    EpochIgnored = "epoch-ignored", "a replica answers only in its own epoch";
    /// A read on which members differ answers from what was prepared.
    ReadWithoutWriteBack = "read-without-write-back", "a read that found members differing writes back";
    /// Half of the members suffice.
    HalfQuorum = "half-quorum", "a quorum is more than half of the members";
    /// A scan asks one member.
    ScanOfOne = "scan-of-one", "a scan needs a majority";
    /// A member that answers twice counts as two.
    CountTwice = "count-twice", "a member counts once a round";
    /// Answers to an earlier round count in the present one.
    LateAnswers = "late-answers", "an answer counts only in its own round";
    /// An unknown outcome is reported as not done.
    UnknownAsRefused = "unknown-as-refused", "an unknown outcome is reported as unknown";
    /// A replica that has promised to end its epoch goes on serving.
    NoSeal = "no-seal", "who has promised to end an epoch serves no more in it";
    /// What is to become exactly another copy keeps what it has beside it, or newer.
    MergeLeftovers = "merge-leftovers", "a copy is replaced, never merged with leftovers";
    /// A member serves before it has the state of its view.
    VoteBeforeInstall = "vote-before-install", "a member serves when it has its view's state";
    /// Members accept any state, and begin with any.
    StateOutsideDecision = "state-outside-decision", "the start state is part of the decision";
    /// A sealed member does not say what it had accepted.
    DecisionForgotten = "decision-forgotten", "a promise reports what was accepted";
    /// Marks of what was deleted are dropped where a replica is sealed.
    TombstonesDroppedEarly = "tombstones-dropped-early", "a mark of deletion stays until the next epoch begins";
    /// A promise to end an epoch leaves before the fsync.
    SealBeforeFsync = "seal-before-fsync", "a promise to end an epoch waits for its fsync";
    /// A sealed replica promises again below its promise.
    SealBelowSeal = "seal-below-seal", "no lower ballot is promised in the decision of an epoch";
    /// A sealed replica accepts a decision below its promise.
    DecideBelowSeal = "decide-below-seal", "no lower ballot decides an epoch";
    /// Less than a majority is enough to end an epoch.
    SealedMinority = "sealed-minority", "an epoch ends with a majority of its members";
    /// A proposer that was overtaken is told that its entries were taken over.
    OvertakenAdopts = "overtaken-adopts", "an overtaken proposer is told so";
    /// A replica gives away what is left of an older epoch.
    LeftoversGivenAway = "leftovers-given-away", "only a whole copy is given away";
    /// A late member serves before it has fetched anything.
    FinishBeforeState = "finish-before-state", "a late member serves when it has fetched its view's state";
    /// A replica goes back to an older view when it hears of one.
    OlderViewInstalled = "older-view-installed", "a replica never goes back to an older view";
    /// Copies of bodies are reported before the fsync.
    CopyBeforeFsync = "copy-before-fsync", "a copy of a body counts when it is on disk";
    /// A node that reports its copy twice counts as two.
    CopyTwice = "copy-twice", "a node is one copy, however often it answers";
    /// A body counts as stored with two copies.
    TwoCopies = "two-copies", "a body has three copies, so that two disks may be lost";
    /// What a node returns for a hash is taken as it is.
    UncheckedFetch = "unchecked-fetch", "a body is taken only with its own hash";
    /// A record is written while its body is on the way.
    RecordBeforeBody = "record-before-body", "a record is written when its body is stored";
}

impl Mutant {
    /// The mutant of that name.
    #[must_use]
    pub fn named(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.slug() == slug)
    }

    /// The worlds in which the rule matters.
    #[must_use]
    pub const fn profiles(self) -> &'static [Profile] {
        match self {
            Self::CopyBeforeFsync
            | Self::CopyTwice
            | Self::TwoCopies
            | Self::UncheckedFetch
            | Self::RecordBeforeBody => &Profile::WITH_BODIES,
            _ => &Profile::OF_REGISTERS,
        }
    }
}

impl Rules for Mutant {
    fn propose(&self, start: Start) -> Box<dyn Propose> {
        match self {
            Self::RetryAfterAccept => Box::new(Stubborn::new(start)),
            Self::FailedCasWithoutAccept => Box::new(Early::new(start, EarlyAnswer::FailedCas)),
            Self::ReadWithoutWriteBack => Box::new(Early::new(start, EarlyAnswer::Read)),
            Self::ReadMax => Box::new(Hasty::new(start)),
            Self::CountTwice => Box::new(Twice::new(start)),
            Self::LateAnswers => Box::new(Forgetful::new(start)),
            Self::UnknownAsRefused => Box::new(Impatient::new(start)),
            _ => Box::new(start.proposal()),
        }
    }

    fn reconfigure(&self, mut start: Move) -> Box<dyn Carry> {
        if *self == Self::SealedMinority {
            start.plan.needed -= 1;
        }
        Box::new(start.reconfiguration())
    }

    fn recover(
        &self,
        me: NodeId,
        partition: Partition,
        view: &View,
        sources: Vec<NodeId>,
        now: Instant,
    ) -> Box<dyn Carry> {
        match self {
            Self::FinishBeforeState => Box::new(govern::Careless::new(me, partition, view, now)),
            _ => Box::new(Recovery::new(me, partition, view.clone(), sources, now)),
        }
    }

    fn believed_view(&self, view: &View, nodes: &[NodeId], dice: &mut SmallRng) -> View {
        let mut members = view.members.clone();
        match self {
            Self::OwnMemberList if dice.random_range(0..10) < 3 => {
                members = nodes.to_vec();
                members.shuffle(dice);
                members.truncate(view.members.len());
            }
            // So many members that half of all are a majority of them.
            Self::HalfQuorum => {
                members.shuffle(dice);
                members.truncate((view.members.len() / 2) * 2 - 1);
            }
            _ => {}
        }
        View { members, ..view.clone() }
    }

    fn scanned_view(&self, view: &View, dice: &mut SmallRng) -> View {
        let one = view.members.choose(dice).copied();
        match (self, one) {
            (Self::ScanOfOne, Some(member)) => View { members: vec![member], ..view.clone() },
            _ => view.clone(),
        }
    }

    fn acceptor(&self, node: NodeId, views: &BTreeMap<Partition, View>, nodes: &[NodeId]) -> Acceptor {
        let everybody = |view: &View| View { members: nodes.to_vec(), ..view.clone() };
        match self {
            Self::OwnMemberList | Self::EpochIgnored => {
                let views = views.iter().map(|(partition, view)| (*partition, everybody(view))).collect();
                Acceptor::genesis(node, &views)
            }
            _ => Acceptor::genesis(node, views),
        }
    }

    fn answer(
        &self,
        acceptor: &mut Acceptor,
        envelope: &Envelope,
        transaction: &mut Transaction<'_>,
    ) -> Result<Reply, StoreError> {
        match self {
            Self::AcceptBelowPromise => acceptor::forget_promises_before_accept(envelope, transaction)?,
            Self::PromiseBelowPromise => acceptor::forget_promises_before_prepare(envelope, transaction)?,
            _ => {}
        }
        replica::answer(*self, acceptor, envelope, transaction)
    }

    fn waits_for_disk(&self, answer: &Answer) -> bool {
        match self {
            Self::ReplyBeforeFsync => false,
            Self::PromiseBeforeFsync => !matches!(answer, Answer::Register(Reply::Prepare(_))),
            Self::CopyBeforeFsync => !matches!(answer, Answer::Keep(_)),
            Self::SealBeforeFsync => !matches!(answer, Answer::Register(Reply::View(ViewReply::Sealed { .. }))),
            _ => true,
        }
    }

    fn put_body(&self, holders: &[NodeId], nodes: usize) -> Box<dyn PutBody> {
        match self {
            Self::CopyTwice => Box::new(body::Twice::new(holders, nodes)),
            Self::TwoCopies => Box::new(body::Frugal::new(holders)),
            _ => Box::new(BodyPut::new(holders.iter().copied(), nodes)),
        }
    }

    fn fetch_body(&self, hash: BodyHash, holders: &[NodeId]) -> Box<dyn FetchBody> {
        match self {
            Self::UncheckedFetch => Box::new(body::Trusting::new(holders)),
            _ => Box::new(BodyFetch::new(hash, holders.iter().copied())),
        }
    }

    fn record_waits_for_body(&self) -> bool {
        *self != Self::RecordBeforeBody
    }

    fn disk_survives(&self, dice: &mut SmallRng) -> bool {
        *self != Self::Amnesia || dice.random_range(0..10) >= 3
    }

    fn next_boot(&self, boot: u32) -> u32 {
        if matches!(self, Self::BallotReuse | Self::StaleCounter) { boot } else { boot + 1 }
    }

    fn remembered_counter(&self, newest: u64, dice: &mut SmallRng) -> u64 {
        if *self == Self::StaleCounter { newest.saturating_sub(dice.random_range(1..4)) } else { 0 }
    }
}

#[cfg(test)]
mod tests;
