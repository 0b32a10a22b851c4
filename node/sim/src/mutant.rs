//! The protocol with one rule taken out. A rule that can go without anybody noticing is no rule: each of these
//! must be caught, and the tests below name them.
//!
//! Nothing here reaches production code: mutants stand between the world and the machines ([`crate::rules`]).

mod acceptor;
mod body;
mod proposer;

use crate::rules::{FetchBody, Propose, PutBody, Rules, Start};
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
use scrapering_core::view::View;
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
        View { epoch: view.epoch, members }
    }

    fn scanned_view(&self, view: &View, dice: &mut SmallRng) -> View {
        let one = view.members.choose(dice).copied();
        match (self, one) {
            (Self::ScanOfOne, Some(member)) => View { epoch: view.epoch, members: vec![member] },
            _ => view.clone(),
        }
    }

    fn acceptor(&self, node: NodeId, views: &BTreeMap<Partition, View>, nodes: &[NodeId]) -> Acceptor {
        let everybody = |view: &View| View { epoch: view.epoch, members: nodes.to_vec() };
        match self {
            Self::OwnMemberList | Self::EpochIgnored => {
                Acceptor::new(node, views.iter().map(|(partition, view)| (*partition, everybody(view))).collect())
            }
            _ => Acceptor::new(node, views.clone()),
        }
    }

    fn answer(
        &self,
        acceptor: &Acceptor,
        envelope: &Envelope,
        transaction: &mut Transaction<'_>,
    ) -> Result<Reply, StoreError> {
        match self {
            Self::AcceptBelowPromise => acceptor::forget_promises_before_accept(envelope, transaction)?,
            Self::PromiseBelowPromise => acceptor::forget_promises_before_prepare(envelope, transaction)?,
            Self::EpochIgnored => return acceptor.handle(&acceptor::in_first_epoch(envelope), transaction),
            _ => {}
        }
        acceptor.handle(envelope, transaction)
    }

    fn waits_for_disk(&self, answer: &Answer) -> bool {
        match self {
            Self::ReplyBeforeFsync => false,
            Self::PromiseBeforeFsync => !matches!(answer, Answer::Register(Reply::Prepare(_))),
            Self::CopyBeforeFsync => !matches!(answer, Answer::Keep(_)),
            _ => true,
        }
    }

    fn put_body(&self, holders: &[NodeId]) -> Box<dyn PutBody> {
        match self {
            Self::CopyTwice => Box::new(body::Twice::new(holders)),
            Self::TwoCopies => Box::new(body::Frugal::new(holders)),
            _ => Box::new(BodyPut::new(holders.iter().copied())),
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
