//! Taking a partition over: claim its owner register, then read all its records.

use crate::driver::Driver;
use crate::driver::registers::Unavailable;
use scrapering_core::frontier::Shard;
use scrapering_core::frontier::keys::{END, Name};
use scrapering_core::frontier::record::{JobId, JobRecord, OwnerRecord, Token, decode, encode};
use scrapering_core::frontier::shard::{Policy, Previous};
use scrapering_core::id::Partition;
use scrapering_core::register::{Change, Outcome, Versioned};
use scrapering_core::schedule::ScheduleKey;

/// A partition that is this node's now.
pub(super) struct Claimed {
    pub(super) shard: Shard,
    /// Jobs whose own record lives here and that have not ended, or have errands left.
    pub(super) jobs: Vec<JobId>,
    /// Schedules that live here.
    pub(super) schedules: Vec<ScheduleKey>,
}

/// Whether an owner that still lives is left in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Respect {
    LivingOwner,
    Nobody,
}

/// Claims `partition`; `None` if another node is, or just became, its owner.
pub(super) async fn claim(
    driver: &Driver,
    partition: Partition,
    respect: Respect,
    policy: Policy,
) -> Result<Option<Claimed>, Unavailable> {
    let key = Name::Owner.key(partition);
    let before = driver.read_one(key.clone()).await?;
    let previous = owner(before.as_ref());
    if let Some(owner) = previous
        && respect == Respect::LivingOwner
        && owner.node != driver.me()
        && driver.members().is_alive(owner.node)
    {
        return Ok(None);
    }
    let content = encode(&myself(driver));
    let change = match &before {
        Some(value) => Change::CompareAndSet { version: value.version, content },
        None => Change::Create(content),
    };
    let token = match driver.change_one(key, change).await {
        Outcome::Done { value: Some(value), .. } => Token(value.version),
        Outcome::Done { value: None, .. } | Outcome::Conflict { .. } => return Ok(None),
        Outcome::Indeterminate | Outcome::Unavailable => return Err(Unavailable),
    };
    let previous = match previous {
        None => Previous::Nobody,
        Some(owner) if owner.node == driver.me() => Previous::Myself,
        Some(_) => Previous::Other,
    };
    let clock = driver.clock();
    let shard = Shard::open(partition, token, clock.now(), previous).with_policy(policy, clock.now(), clock.wall_ms());
    load(driver, partition, shard).await.map(Some)
}

/// Whether this node owns `partition` under `token`, at some moment after the call.
pub(super) async fn confirm(driver: &Driver, partition: Partition, token: Token) -> Result<bool, Unavailable> {
    let value = driver.read_one(Name::Owner.key(partition)).await?;
    Ok(owner(value.as_ref()) == Some(myself(driver)) && value.is_some_and(|value| Token(value.version) == token))
}

async fn load(driver: &Driver, partition: Partition, mut shard: Shard) -> Result<Claimed, Unavailable> {
    let (mut jobs, mut schedules, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = driver.scan(partition, Vec::new(), after).await?;
        for (key, value) in &page.entries {
            if let Err(error) = shard.load(key, value, driver.clock().now(), driver.clock().wall_ms()) {
                tracing::error!(%error, ?key, "a record of the frontier is passed over");
            }
            if let Some(Name::Schedule(schedule)) = Name::parse(key) {
                schedules.push(schedule);
            }
            if let Some(Name::Job(id)) = Name::parse(key)
                && value
                    .content
                    .as_deref()
                    .and_then(|content| decode::<JobRecord>(content).ok())
                    .is_some_and(|record| !record.phase.has_ended() || record.errands)
            {
                jobs.push(id);
            }
        }
        // Behind the frontier's names come the users' own keys.
        after = page.next.filter(|name| name.as_slice() < END);
        if after.is_none() {
            return Ok(Claimed { shard, jobs, schedules });
        }
    }
}

fn myself(driver: &Driver) -> OwnerRecord {
    OwnerRecord { node: driver.me(), boot: driver.boot() }
}

fn owner(value: Option<&Versioned>) -> Option<OwnerRecord> {
    decode(value?.content.as_deref()?).ok()
}
