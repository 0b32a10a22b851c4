//! Turns at addresses: before a request leaves, this node holds its host's address, and no other node does.
//!
//! [`Addresses::enter`] waits a little for a place and otherwise says when to come back, so that a busy address does
//! not use up the node's places for others. A task for each held address asks its desk for the turn, renews it while
//! it is used, and gives it up when it is not, or when another node waits and this one has had its time.

use super::Crawl;
use super::desks::Desks;
use crate::rpc::convert::{self, Malformed};
use scrapering_core::frontier::LEASE;
use scrapering_core::frontier::address::{Desk, Gate, Limits, Turn, Wait, address_partition};
use scrapering_core::frontier::record::JobId;
use scrapering_core::id::NodeId;
use scrapering_core::time::Instant;
use scrapering_proto::v1;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long a request waits for its address before its host is put aside.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a host is put aside when nobody can tell how long it will take.
const PUT_ASIDE: Duration = Duration::from_millis(200);
/// Requests that wait for one address at a time; more are put aside at once.
const MOST_WAITING: usize = 8;
/// A holder that others wait for goes on for so long.
const TENURE: Duration = Duration::from_secs(1);
/// An address that is not used for so long is given up.
const UNUSED: Duration = Duration::from_secs(2);
/// Pause before a desk that was not found is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Of a turn, the part in which requests may leave: the clocks of two machines differ.
const USABLE_PERCENT: u32 = 80;

/// The addresses that this node holds, and the desks of the partitions that it owns. A cheap clone.
#[derive(Clone, Default)]
pub(super) struct Addresses {
    held: Arc<Mutex<BTreeMap<IpAddr, Held>>>,
    desks: Desks<Desk>,
}

/// An address that this node holds or asks for.
struct Held {
    gate: Gate,
    /// Requests may leave until then; `None` until the turn is given.
    until: Option<Instant>,
    /// Another node waits: nothing new is sent.
    ending: bool,
    waiting: usize,
    used_at: Instant,
    changed: Arc<Notify>,
    /// Cancelled when the turn has run out with requests in flight.
    lapsed: CancellationToken,
}

/// A request may be made: its place at the address is taken until this is dropped.
pub(super) struct Place {
    addresses: Addresses,
    crawl: Crawl,
    address: IpAddr,
    answered: bool,
    /// Cancelled when the request has to be broken off.
    pub(super) lapsed: CancellationToken,
}

impl Place {
    /// The request is being answered.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        self.addresses.at(self.address, |held| held.gate.handle_answer(self.crawl.driver.clock().now()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.crawl.driver.clock().now();
        self.addresses.at(self.address, |held| {
            held.gate.handle_end(self.answered, now);
            held.used_at = now;
        });
    }
}

/// What came of an attempt to enter.
enum Entry {
    In(CancellationToken),
    /// Until something changes, or then.
    Wait(OwnedNotified, Option<Instant>),
    PutAside(Duration),
}

impl Addresses {
    /// Takes a place at `address` for a request of `job`.
    ///
    /// # Errors
    /// After how long to try again.
    pub(super) async fn enter(
        &self,
        crawl: &Crawl,
        address: IpAddr,
        job: JobId,
        limits: Limits,
    ) -> Result<Place, Duration> {
        let clock = crawl.driver.clock();
        let patience = clock.now() + PATIENCE;
        loop {
            let (changed, until) = match self.try_enter(crawl, address, job, limits) {
                Entry::In(lapsed) => {
                    let (addresses, crawl) = (self.clone(), crawl.clone());
                    return Ok(Place { addresses, crawl, address, answered: false, lapsed });
                }
                Entry::PutAside(pause) => return Err(pause),
                Entry::Wait(changed, until) => (changed, until),
            };
            let now = clock.now();
            if now >= patience || until.is_some_and(|until| until > patience) {
                self.with(address, |held| held.waiting = held.waiting.saturating_sub(1));
                return Err(until.map_or(PUT_ASIDE, |until| until.since(now)).max(Duration::from_millis(1)));
            }
            let wake = clock.deadline(until.unwrap_or(patience).min(patience));
            // Whatever it was, it is looked at again.
            let _ = tokio::time::timeout_at(wake, changed).await;
            self.with(address, |held| held.waiting = held.waiting.saturating_sub(1));
        }
    }

    fn try_enter(&self, crawl: &Crawl, address: IpAddr, job: JobId, limits: Limits) -> Entry {
        let now = crawl.driver.clock().now();
        let mut all = self.held();
        let held = all.entry(address).or_insert_with(|| {
            crawl.spawn(keep(crawl.clone(), address, limits));
            Held {
                gate: Gate::default(),
                until: None,
                ending: false,
                waiting: 0,
                used_at: now,
                changed: Arc::default(),
                lapsed: CancellationToken::new(),
            }
        });
        let may_leave = held.until.is_some_and(|until| now < until) && !held.ending;
        let wait = if may_leave { held.gate.try_enter(job, limits, now).err() } else { Some(Wait::ForAnother) };
        match wait {
            None => {
                held.used_at = now;
                Entry::In(held.lapsed.clone())
            }
            Some(Wait::Until(until)) if held.waiting >= MOST_WAITING => {
                Entry::PutAside(until.since(now).max(PUT_ASIDE))
            }
            Some(Wait::ForAnother) if held.waiting >= MOST_WAITING => Entry::PutAside(PUT_ASIDE),
            Some(wait) => {
                held.waiting += 1;
                held.used_at = now;
                let until = if let Wait::Until(until) = wait { Some(until) } else { None };
                Entry::Wait(Arc::clone(&held.changed).notified_owned(), until)
            }
        }
    }

    /// Changes what is held, and lets whoever waits look again.
    fn at<T>(&self, address: IpAddr, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.with(address, |held| {
            let result = change(held);
            held.changed.notify_waiters();
            result
        })
    }

    /// Looks at what is held, or changes what nobody waits for: two who wait would wake each other for ever.
    fn with<T>(&self, address: IpAddr, look: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.held().get_mut(&address).map(look)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done next about a held address.
enum Next {
    Ask(Limits),
    Look(Instant),
    GiveUp(Duration),
    /// The turn has run out with requests in flight: they are broken off, and it is asked for again.
    Lapse,
}

/// Looks after one address until it is given up.
async fn keep(crawl: Crawl, address: IpAddr, first_wish: Limits) {
    let clock = crawl.driver.clock();
    let (mut since, mut renew_at, mut over_at) = (clock.now(), clock.now(), None);
    let mut attempt = 0;
    loop {
        let now = clock.now();
        let look = |held: &mut Held| {
            (held.next(first_wish, now, since, renew_at, over_at), Arc::clone(&held.changed).notified_owned())
        };
        let Some((next, changed)) = crawl.addresses.with(address, look) else { return };
        match next {
            Next::Look(at) => {
                // Whatever it was, it is looked at again.
                let _ = tokio::time::timeout_at(clock.deadline(at), changed).await;
            }
            Next::GiveUp(closed_for) => {
                if over_at.is_some() {
                    release(&crawl, address, closed_for).await;
                }
                let mut all = crawl.addresses.held();
                let Some(held) = all.get_mut(&address) else { return };
                if held.waiting == 0 && held.gate.is_idle() {
                    all.remove(&address);
                    return;
                }
                (held.until, held.ending) = (None, false);
                (since, renew_at, over_at) = (clock.now(), clock.now(), None);
            }
            Next::Lapse => {
                crawl.addresses.at(address, |held| {
                    std::mem::take(&mut held.lapsed).cancel();
                    held.until = None;
                });
                over_at = None;
            }
            Next::Ask(wish) => match ask(&crawl, address, wish, attempt).await {
                Some(Turn::Given { lasts, closed_for, limits, contended }) => {
                    attempt = 0;
                    if over_at.is_none() {
                        since = now;
                    }
                    renew_at = now + lasts / 2;
                    over_at = Some(now + lasts);
                    crawl.addresses.at(address, |held| {
                        held.gate.handle_turn(closed_for, limits, clock.now());
                        held.until = Some(now + lasts * USABLE_PERCENT / 100);
                        held.ending |= contended && now.since(since) >= TENURE;
                    });
                }
                Some(Turn::Taken(pause)) => renew_at = clock.now() + pause,
                None => {
                    attempt += 1;
                    renew_at = clock.now() + LOOK_AGAIN;
                }
            },
        }
    }
}

impl Held {
    fn next(
        &self,
        first_wish: Limits,
        now: Instant,
        since: Instant,
        renew_at: Instant,
        over_at: Option<Instant>,
    ) -> Next {
        let idle = self.gate.is_idle();
        let unused = idle && self.waiting == 0 && now.since(self.used_at) >= UNUSED;
        if (self.ending && idle) || unused {
            return Next::GiveUp(self.gate.closed_for(now));
        }
        if over_at.is_some_and(|over_at| over_at <= now) && !idle {
            return Next::Lapse;
        }
        if renew_at <= now {
            return Next::Ask(self.gate.own_wish().unwrap_or(first_wish));
        }
        // Who waits may come while this one holds on: the tenure's end is a moment to ask, too.
        let tenure = Some(since + TENURE).filter(|at| *at > now);
        let unused_at = Some(self.used_at + UNUSED).filter(|at| idle && *at > now);
        Next::Look(
            [Some(renew_at), over_at.filter(|at| *at > now), tenure, unused_at]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(renew_at),
        )
    }
}

/// Asks the desk for the turn; `None` if it was not found.
async fn ask(crawl: &Crawl, address: IpAddr, wish: Limits, attempt: usize) -> Option<Turn> {
    let partition = address_partition(address);
    let owner = crawl.router.owner(partition, attempt);
    let turn = if owner == crawl.driver.me() {
        crawl.turn(address, owner, wish).await
    } else {
        let message = v1::AddressRequest {
            header: crawl.driver.peers().header(),
            address: address.to_string(),
            release: false,
            closed_for_ms: 0,
            delay_ms: convert::millis_up(wish.delay),
            concurrent: wish.concurrent,
        };
        let reply = crawl.driver.peers().frontier(owner)?.address(message).await.ok()?.into_inner();
        turn_of_wire(&reply)
    };
    crawl.router.learn(partition, owner, turn.is_some());
    turn
}

/// Tells the desk that the address is free again; if it does not hear it, the turn runs out.
async fn release(crawl: &Crawl, address: IpAddr, closed_for: Duration) {
    let owner = crawl.router.owner(address_partition(address), 0);
    if owner == crawl.driver.me() {
        crawl.release(address, owner, closed_for);
        return;
    }
    let message = v1::AddressRequest {
        header: crawl.driver.peers().header(),
        address: address.to_string(),
        release: true,
        closed_for_ms: convert::millis_up(closed_for),
        delay_ms: 0,
        concurrent: 0,
    };
    if let Some(mut frontier) = crawl.driver.peers().frontier(owner) {
        drop(frontier.address(message).await);
    }
}

impl Crawl {
    /// A peer asks for an address, or gives one up.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_address(&self, from: NodeId, message: v1::AddressRequest) -> Result<v1::AddressReply, Status> {
        let address: IpAddr = message.address.parse().map_err(|_| Malformed("address"))?;
        if message.release {
            self.release(address, from, Duration::from_millis(message.closed_for_ms));
            return Ok(v1::AddressReply::default());
        }
        let wish = Limits { delay: Duration::from_millis(message.delay_ms), concurrent: message.concurrent };
        Ok(turn_to_wire(self.turn(address, from, wish).await))
    }

    /// What this node's desk says; `None` if it does not own the address's partition.
    async fn turn(&self, address: IpAddr, node: NodeId, wish: Limits) -> Option<Turn> {
        let ask = |desk: &mut Desk, owned_until, now| desk.handle_ask(address, node, wish, owned_until, now);
        self.addresses.desks.ask(self, address_partition(address), Desk::new, ask).await
    }

    fn release(&self, address: IpAddr, node: NodeId, closed_for: Duration) {
        let now = self.driver.clock().now();
        self.addresses.desks.tell(address_partition(address), |desk| {
            desk.handle_release(address, node, closed_for.min(LEASE * 24 * 3_600), now);
        });
    }
}

fn turn_to_wire(turn: Option<Turn>) -> v1::AddressReply {
    match turn {
        None => v1::AddressReply { not_owned: true, ..v1::AddressReply::default() },
        Some(Turn::Taken(pause)) => {
            v1::AddressReply { ask_again_ms: convert::millis_up(pause).max(1), ..v1::AddressReply::default() }
        }
        Some(Turn::Given { lasts, closed_for, limits, contended }) => v1::AddressReply {
            not_owned: false,
            ask_again_ms: 0,
            lasts_ms: convert::millis_up(lasts),
            closed_for_ms: convert::millis_up(closed_for),
            delay_ms: convert::millis_up(limits.delay),
            concurrent: limits.concurrent,
            contended,
        },
    }
}

fn turn_of_wire(reply: &v1::AddressReply) -> Option<Turn> {
    if reply.not_owned {
        return None;
    }
    if reply.ask_again_ms > 0 {
        return Some(Turn::Taken(Duration::from_millis(reply.ask_again_ms)));
    }
    Some(Turn::Given {
        lasts: Duration::from_millis(reply.lasts_ms),
        closed_for: Duration::from_millis(reply.closed_for_ms),
        limits: Limits { delay: Duration::from_millis(reply.delay_ms), concurrent: reply.concurrent },
        contended: reply.contended,
    })
}
