//! What a node has of a job's slots, and when it asks for more, or gives some back.

use super::{Ask, Loan};
use crate::time::Instant;
use std::time::Duration;

/// Of a loan, the part in which fetches may begin: the clocks of two machines differ.
const USABLE_PERCENT: u32 = 80;
/// Who has nothing and wants something asks again after this.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// ... and who has something, while there is less than all want.
const ASK_WHILE_SCARCE: Duration = Duration::from_millis(250);
/// Slots that others wait for are given back so soon after the last question.
const GIVE_BACK: Duration = Duration::from_millis(20);
/// Slots that are not used for so long are given up.
const UNUSED: Duration = Duration::from_secs(2);
/// Who wants more wants this many at least.
const WISH_LEAST: u32 = 4;
/// Most slots that a node asks for: more than it has places.
const WISH_MOST: u32 = 10_000;

/// What a node is to do about its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the desk ([`Purse::begin_ask`]).
    Ask,
    /// Look again then, or when something has changed.
    Look(Instant),
    /// The slots have run out: fetches that still use them are broken off ([`Purse::handle_lapsed`]).
    Lapse,
    /// Nothing is used or wanted: the purse is to be given up.
    End,
}

/// What a node has of a job's slots.
#[derive(Clone, Debug)]
pub struct Purse {
    /// Lent; fewer than are used if some are to be given back.
    granted: u32,
    /// What the desk counts as this node's.
    counted: u32,
    /// While the desk is asked: no more than this are used.
    asking: Option<u32>,
    taken: u32,
    /// Most that were used since the last question.
    peak: u32,
    /// Something could have been fetched and was not.
    hungry: bool,
    scarce: bool,
    /// Fetches may begin until then.
    usable_until: Instant,
    /// The loan is over then.
    over_at: Option<Instant>,
    asked_at: Option<Instant>,
    ask_at: Instant,
    used_at: Instant,
}

impl Purse {
    /// An empty purse of a node that has `taken` fetches of the job under way.
    #[must_use]
    pub const fn new(taken: u32, now: Instant) -> Self {
        Self {
            granted: 0,
            counted: 0,
            asking: None,
            taken,
            peak: taken,
            hungry: true,
            scarce: false,
            usable_until: now,
            over_at: None,
            asked_at: None,
            ask_at: now,
            used_at: now,
        }
    }

    /// Whether another fetch may begin.
    #[must_use]
    pub fn admits(&self, now: Instant) -> bool {
        now < self.usable_until && self.taken < self.asking.unwrap_or(u32::MAX).min(self.granted)
    }

    /// Fetches under way.
    #[must_use]
    pub const fn taken(&self) -> u32 {
        self.taken
    }

    /// Whether something waits for a slot.
    #[must_use]
    pub const fn is_hungry(&self) -> bool {
        self.hungry
    }

    /// A fetch begins.
    pub fn handle_taken(&mut self, now: Instant) {
        self.taken += 1;
        self.peak = self.peak.max(self.taken);
        self.used_at = now;
    }

    /// A fetch has ended.
    pub fn handle_given_back(&mut self, now: Instant) {
        self.taken = self.taken.saturating_sub(1);
        self.used_at = now;
        if self.counted > self.granted.max(self.taken) {
            self.ask_by(now, GIVE_BACK);
        }
    }

    /// Something could have been fetched, and there was no slot.
    pub fn handle_turned_away(&mut self, now: Instant) {
        self.used_at = now;
        if !self.hungry {
            self.hungry = true;
            self.ask_by(now, if self.scarce { ASK_WHILE_SCARCE } else { ASK_AGAIN });
        }
    }

    /// Asks soon, but not sooner than `pause` after the last question.
    fn ask_by(&mut self, now: Instant, pause: Duration) {
        let earliest = self.asked_at.map_or(now, |at| at + pause).max(now);
        self.ask_at = self.ask_at.min(earliest);
    }

    /// When the loan is over, if there is one.
    #[must_use]
    pub const fn over_at(&self) -> Option<Instant> {
        self.over_at
    }

    /// What is to be done now.
    #[must_use]
    pub fn next(&self, now: Instant) -> Next {
        if self.over_at.is_some_and(|at| at <= now) {
            return Next::Lapse;
        }
        let unused_at = Some(self.used_at + UNUSED).filter(|_| self.taken == 0);
        if unused_at.is_some_and(|at| at <= now) {
            return Next::End;
        }
        if self.ask_at <= now {
            return Next::Ask;
        }
        let moments = [Some(self.ask_at), self.over_at, unused_at];
        Next::Look(moments.into_iter().flatten().min().unwrap_or(self.ask_at))
    }

    /// What to ask the desk for; the answer is [`Purse::handle_answer`].
    pub fn begin_ask(&mut self, number: (u32, u64), now: Instant) -> Ask {
        let wish = if self.hungry {
            self.granted.max(self.taken).saturating_mul(2).clamp(WISH_LEAST, WISH_MOST)
        } else {
            self.peak.min(WISH_MOST)
        };
        let keep = self.granted.min(wish).max(self.taken);
        self.asking = Some(keep);
        self.asked_at = Some(now);
        self.peak = self.taken;
        Ask { number, keep, wish }
    }

    /// The last question, if the purse is given up.
    #[must_use]
    pub const fn farewell(number: (u32, u64)) -> Ask {
        Ask { number, keep: 0, wish: 0 }
    }

    /// The desk's answer to what was asked; `None` if there was none, or none yet. Returns whether those who were turned
    /// away are to look again: there are slots, or it is long ago that they said so.
    pub fn handle_answer(&mut self, ask: Ask, loan: Option<Loan>, now: Instant) -> bool {
        self.asking = None;
        let asked_at = self.asked_at.unwrap_or(now);
        let Some(Loan { slots, lasts, scarce }) = loan else {
            // It may have been heard.
            self.granted = self.granted.min(ask.keep);
            self.ask_at = now + ASK_AGAIN;
            return self.is_doubtful(now);
        };
        self.granted = slots;
        self.counted = slots.max(ask.keep);
        self.scarce = scarce;
        self.usable_until = asked_at + lasts * USABLE_PERCENT / 100;
        self.over_at = Some(asked_at + lasts);
        let pause = match slots {
            0 if self.hungry => ASK_AGAIN,
            _ if scarce || slots < ask.wish => ASK_WHILE_SCARCE,
            _ => lasts / 2,
        };
        self.ask_at = asked_at + pause;
        if self.counted > slots.max(self.taken) {
            self.ask_by(now, GIVE_BACK);
        }
        if self.admits(now) {
            // Whoever still is turned away says so.
            return std::mem::take(&mut self.hungry);
        }
        self.is_doubtful(now)
    }

    /// Whether nobody has said for long that something waits.
    fn is_doubtful(&self, now: Instant) -> bool {
        self.hungry && now.since(self.used_at) >= UNUSED / 2
    }

    /// The loan is over, and fetches that used it were broken off.
    pub fn handle_lapsed(&mut self, now: Instant) {
        self.granted = 0;
        self.counted = 0;
        self.over_at = None;
        self.usable_until = now;
        self.hungry = true;
        self.ask_at = self.ask_at.min(now + ASK_AGAIN);
    }
}
