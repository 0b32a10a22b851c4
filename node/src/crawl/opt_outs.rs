//! The list of hosts that are not to be visited: one register, which every node reads while it has work.

use super::Hosts;
use super::jobs::JobsError;
use crate::driver::Driver;
use crate::driver::registers::Unavailable;
use schemars::JsonSchema;
use scrapering_core::frontier::keys::Name;
use scrapering_core::frontier::opt_out::{OPT_OUTS_MAX, OptOut, OptOuts, opt_outs_partition};
use scrapering_core::frontier::record::{decode, encode};
use scrapering_core::register::{Change, Outcome};
use serde::{Deserialize, Serialize};

/// How often a change is tried against others.
const RACES: usize = 20;

/// A host whose owner does not want it to be visited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptOutObject {
    /// The host.
    pub host: String,
    /// Whether that holds for all hosts below it too.
    pub subdomains: bool,
    /// Who asked for it, and where that can be read.
    pub note: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// The list, and its version: 0 if there is none.
pub(super) async fn read(driver: &Driver) -> Result<(OptOuts, u64), Unavailable> {
    let Some(value) = driver.read_one(Name::OptOuts.key(opt_outs_partition())).await? else {
        return Ok((OptOuts::default(), 0));
    };
    // A list that cannot be read must not be taken for an empty one.
    let list = decode(value.content.as_deref().unwrap_or_default()).map_err(|_| Unavailable)?;
    Ok((list, value.version))
}

impl Hosts {
    /// Every host that is not to be visited.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn opt_outs(&self) -> Result<Vec<OptOutObject>, JobsError> {
        let (list, _) = read(&self.crawl.driver).await?;
        Ok(list.list.into_iter().map(object).collect())
    }

    /// Keeps every job away from a host. The nodes know within seconds.
    ///
    /// # Errors
    /// [`JobsError::Conflict`] if the list is full; [`JobsError::Unavailable`] or [`JobsError::Indeterminate`].
    pub async fn opt_out(&self, host: &str, subdomains: bool, note: &str) -> Result<OptOutObject, JobsError> {
        let since_ms = self.crawl.driver.clock().wall_ms();
        let entry = OptOut { host: host.to_owned(), subdomains, note: note.to_owned(), since_ms };
        let full =
            || JobsError::Conflict(format!("the list has {OPT_OUTS_MAX} entries; name a domain with its subdomains"));
        self.change_opt_outs(|list| if list.insert(entry.clone()) { Ok(()) } else { Err(full()) }).await?;
        Ok(object(entry))
    }

    /// Lets jobs visit a host again. One that is not in the list is not added.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`] or [`JobsError::Indeterminate`].
    pub async fn opt_in(&self, host: &str) -> Result<(), JobsError> {
        self.change_opt_outs(|list| {
            list.remove(host);
            Ok(())
        })
        .await
    }

    async fn change_opt_outs(&self, change: impl Fn(&mut OptOuts) -> Result<(), JobsError>) -> Result<(), JobsError> {
        let mut unsettled = false;
        for _ in 0..RACES {
            let (mut list, version) = read(&self.crawl.driver).await?;
            let before = list.clone();
            change(&mut list)?;
            if list == before {
                return Ok(());
            }
            let content = encode(&list);
            let change =
                if version == 0 { Change::Create(content) } else { Change::CompareAndSet { version, content } };
            match self.crawl.driver.change_one(Name::OptOuts.key(opt_outs_partition()), change).await {
                Outcome::Done { .. } => return Ok(()),
                Outcome::Conflict { .. } => {}
                Outcome::Indeterminate => unsettled = true,
                Outcome::Unavailable if unsettled => return Err(JobsError::Indeterminate),
                Outcome::Unavailable => return Err(JobsError::Unavailable),
            }
        }
        Err(if unsettled { JobsError::Indeterminate } else { JobsError::Unavailable })
    }
}

fn object(entry: OptOut) -> OptOutObject {
    let OptOut { host, subdomains, note, since_ms } = entry;
    OptOutObject { host, subdomains, note, since: super::doors::moment(since_ms).unwrap_or_default() }
}
