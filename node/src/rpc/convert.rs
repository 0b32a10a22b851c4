//! Wire types to core types and back. Everything that comes in is checked here.

pub mod copies;
pub mod formation;
pub mod frontier;
pub mod kv;
pub mod membership;
pub mod ring;
pub mod view;

use bytes::Bytes;
use scrapering_core::frontier::record::{Counters, JobId};
use scrapering_core::id::{Key, NodeId, OperationId, PARTITIONS, Partition, RingId};
use scrapering_core::register::message::{Accepted, Envelope, Reply, Request};
use scrapering_core::register::{Ballot, ProposerId, Versioned};
use scrapering_core::sync::Fingerprint;
use scrapering_core::view::{Epoch, View};
use scrapering_proto::v1;

/// A message that a well-behaved peer does not send. The peer is at fault; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {0} is missing or malformed")]
pub struct Malformed(pub &'static str);

type Checked<T> = Result<T, Malformed>;

/// Bytes of a fixed length.
pub fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Checked<[u8; N]> {
    bytes.try_into().map_err(|_| Malformed(field))
}

fn owned(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Who speaks, to whom, and in which ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The ring.
    pub ring: RingId,
    /// The sender.
    pub from: NodeId,
    /// The generation of the sender's storage.
    pub generation: u64,
    /// Who is meant; `None` for whoever listens.
    pub to: Option<NodeId>,
    /// Fingerprint of the record by which the sender's ring was formed.
    pub founding: [u8; 8],
}

/// What a request begins with.
pub fn header(header: Option<v1::Header>) -> Checked<Header> {
    let v1::Header { ring, from, generation, to, founding } = header.ok_or(Malformed("header"))?;
    let to = if to.is_empty() { None } else { Some(NodeId(fixed(&to, "header.to")?)) };
    Ok(Header {
        ring: RingId(fixed(&ring, "header.ring")?),
        from: NodeId(fixed(&from, "header.from")?),
        generation,
        to,
        founding: fixed(&founding, "header.founding")?,
    })
}

/// The inverse of [`header`].
#[must_use]
pub fn header_to_wire(header: &Header) -> v1::Header {
    let Header { ring, from, generation, to, founding } = header;
    v1::Header {
        ring: owned(&ring.0),
        from: owned(&from.0),
        generation: *generation,
        to: to.map(|to| owned(&to.0)).unwrap_or_default(),
        founding: owned(founding),
    }
}

/// A node id.
pub fn node(bytes: &[u8]) -> Checked<NodeId> {
    fixed(bytes, "node").map(NodeId)
}

/// A duration in whole milliseconds, rounded up: a pause must not get shorter on its way.
#[must_use]
pub fn millis_up(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A job id.
pub fn job(bytes: &[u8]) -> Checked<JobId> {
    fixed(bytes, "job").map(JobId)
}

/// A partition of this ring.
pub fn partition(number: u32) -> Checked<Partition> {
    u16::try_from(number).ok().filter(|number| *number < PARTITIONS).map(Partition).ok_or(Malformed("partition"))
}

fn ballot(ballot: v1::Ballot) -> Checked<Ballot> {
    Ok(Ballot { counter: ballot.counter, proposer: ProposerId { node: node(&ballot.node)?, boot: ballot.boot } })
}

fn ballot_to_wire(ballot: Ballot) -> v1::Ballot {
    v1::Ballot { counter: ballot.counter, node: owned(&ballot.proposer.node.0), boot: ballot.proposer.boot }
}

fn versioned(value: v1::Versioned) -> Checked<Versioned> {
    let operation = OperationId(u128::from_be_bytes(fixed(&value.operation, "operation")?));
    Ok(Versioned { version: value.version, operation, content: value.content })
}

fn versioned_to_wire(value: Versioned) -> v1::Versioned {
    v1::Versioned { version: value.version, operation: owned(&value.operation.0.to_be_bytes()), content: value.content }
}

fn accepted(accepted: v1::Accepted) -> Checked<Accepted> {
    let ballot = accepted.ballot.map(ballot).transpose()?.unwrap_or_default();
    Ok(Accepted { ballot, value: accepted.value.map(versioned).transpose()? })
}

fn accepted_to_wire(accepted: Accepted) -> v1::Accepted {
    let touched = accepted.ballot != Ballot::default();
    v1::Accepted {
        ballot: touched.then(|| ballot_to_wire(accepted.ballot)),
        value: accepted.value.map(versioned_to_wire),
    }
}

fn view(view: v1::View) -> Checked<View> {
    Ok(View {
        epoch: Epoch(view.epoch),
        members: view.members.iter().map(|member| node(member)).collect::<Checked<_>>()?,
        start: Fingerprint(fixed(&view.start, "view.start")?),
    })
}

fn view_to_wire(view: View) -> v1::View {
    let members = view.members.iter().map(|member| owned(&member.0)).collect();
    v1::View { epoch: view.epoch.0, members, start: owned(&view.start.0) }
}

/// A request to an acceptor.
pub fn envelope(envelope: v1::Envelope) -> Checked<Envelope> {
    use v1::envelope::Request as Wire;
    let partition = partition(envelope.partition)?;
    let keys = |names: Vec<Bytes>| names.into_iter().map(|name| Key::new(partition, name)).collect();
    let request = match envelope.request.ok_or(Malformed("request"))? {
        Wire::Read(read) => Request::Read { keys: keys(read.names) },
        Wire::Prepare(prepare) => {
            Request::Prepare { ballot: ballot(prepare.ballot.ok_or(Malformed("ballot"))?)?, keys: keys(prepare.names) }
        }
        Wire::Accept(accept) => {
            let write = |write: v1::envelope::Write| {
                Ok((Key::new(partition, write.name), write.value.map(versioned).transpose()?))
            };
            let writes = accept.writes.into_iter().map(write).collect::<Checked<_>>()?;
            Request::Accept { ballot: ballot(accept.ballot.ok_or(Malformed("ballot"))?)?, writes }
        }
        Wire::Scan(scan) => {
            Request::Scan { prefix: scan.prefix.into(), after: scan.after.map(Into::into), limit: scan.limit as usize }
        }
        Wire::View(wire) => Request::View(view::request(wire)?),
    };
    Ok(Envelope { partition, epoch: Epoch(envelope.epoch), request })
}

/// The inverse of [`envelope`].
#[must_use]
pub fn envelope_to_wire(envelope: Envelope) -> v1::Envelope {
    use v1::envelope::Request as Wire;
    let names = |keys: Vec<Key>| keys.into_iter().map(|key| key.name.into()).collect();
    let request = match envelope.request {
        Request::Read { keys } => Wire::Read(v1::envelope::Read { names: names(keys) }),
        Request::Prepare { ballot, keys } => {
            Wire::Prepare(v1::envelope::Prepare { ballot: Some(ballot_to_wire(ballot)), names: names(keys) })
        }
        Request::Accept { ballot, writes } => {
            let write = |(key, value): (Key, Option<Versioned>)| v1::envelope::Write {
                name: key.name.into(),
                value: value.map(versioned_to_wire),
            };
            let writes = writes.into_iter().map(write).collect();
            Wire::Accept(v1::envelope::Accept { ballot: Some(ballot_to_wire(ballot)), writes })
        }
        Request::Scan { prefix, after, limit } => Wire::Scan(v1::envelope::Scan {
            prefix: prefix.into(),
            after: after.map(Into::into),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        }),
        Request::View(request) => Wire::View(view::request_to_wire(request)),
    };
    let (partition, epoch) = (u32::from(envelope.partition.0), envelope.epoch.0);
    v1::Envelope { partition, epoch, trace: None, request: Some(request) }
}

/// An acceptor's answer.
pub fn reply(reply: v1::Reply) -> Checked<Reply> {
    use v1::reply::Reply as Wire;
    Ok(match reply.reply.ok_or(Malformed("reply"))? {
        Wire::Read(read) => Reply::Read(read.accepted.into_iter().map(accepted).collect::<Checked<_>>()?),
        Wire::Prepare(prepare) => Reply::Prepare(prepare.promises.into_iter().map(promise).collect::<Checked<_>>()?),
        Wire::Accept(accept) => Reply::Accept(accept.denied.into_iter().map(denial).collect::<Checked<_>>()?),
        Wire::Scan(scan) => {
            let entry = |entry: v1::reply::Entry| {
                Ok((entry.name.to_vec(), accepted(entry.accepted.ok_or(Malformed("accepted"))?)?))
            };
            Reply::Scan {
                entries: scan.entries.into_iter().map(entry).collect::<Checked<_>>()?,
                complete: scan.complete,
            }
        }
        Wire::Stale(stale) => Reply::Stale(view(stale)?),
        Wire::Refused(_) => Reply::Refused,
        Wire::View(wire) => Reply::View(view::reply(wire)?),
        Wire::NotReady(_) => Reply::NotReady,
    })
}

/// The inverse of [`reply`].
#[must_use]
pub fn reply_to_wire(reply: Reply) -> v1::Reply {
    use v1::reply::Reply as Wire;
    let wire = match reply {
        Reply::Read(read) => Wire::Read(v1::reply::Read { accepted: read.into_iter().map(accepted_to_wire).collect() }),
        Reply::Prepare(promises) => {
            Wire::Prepare(v1::reply::Prepare { promises: promises.into_iter().map(promise_to_wire).collect() })
        }
        Reply::Accept(denied) => {
            let denied =
                denied.into_iter().map(|answer| answer.err().map(ballot_to_wire).unwrap_or_default()).collect();
            Wire::Accept(v1::reply::Accept { denied })
        }
        Reply::Scan { entries, complete } => {
            let entry = |(name, accepted): (Vec<u8>, Accepted)| v1::reply::Entry {
                name: name.into(),
                accepted: Some(accepted_to_wire(accepted)),
            };
            Wire::Scan(v1::reply::Scan { entries: entries.into_iter().map(entry).collect(), complete })
        }
        Reply::Stale(view) => Wire::Stale(view_to_wire(view)),
        Reply::Refused => Wire::Refused(v1::reply::Refused {}),
        Reply::View(reply) => Wire::View(view::reply_to_wire(reply)),
        Reply::NotReady => Wire::NotReady(v1::reply::NotReady {}),
    };
    v1::Reply { reply: Some(wire) }
}

fn promise(promise: v1::reply::Promise) -> Checked<Result<Accepted, Ballot>> {
    use v1::reply::promise::Promise as Wire;
    Ok(match promise.promise.ok_or(Malformed("promise"))? {
        Wire::Granted(granted) => Ok(accepted(granted)?),
        Wire::Denied(denied) => Err(ballot(denied)?),
    })
}

fn promise_to_wire(promise: Result<Accepted, Ballot>) -> v1::reply::Promise {
    use v1::reply::promise::Promise as Wire;
    let promise = match promise {
        Ok(granted) => Wire::Granted(accepted_to_wire(granted)),
        Err(denied) => Wire::Denied(ballot_to_wire(denied)),
    };
    v1::reply::Promise { promise: Some(promise) }
}

/// An empty ballot is no denial.
fn denial(denied: v1::Ballot) -> Checked<Result<(), Ballot>> {
    if denied.node.is_empty() { Ok(Ok(())) } else { Ok(Err(ballot(denied)?)) }
}

/// Counters of a job.
#[must_use]
pub fn counters(wire: v1::Counters) -> Counters {
    let v1::Counters {
        discovered,
        succeeded,
        failed,
        skipped,
        unfollowed,
        admitted,
        admitted_closed,
        items,
        item_errors,
        in_flight,
        bytes,
        not_modified,
        next_visit_ms,
    } = wire;
    Counters {
        discovered,
        succeeded,
        failed,
        skipped,
        unfollowed,
        admitted,
        admitted_closed,
        items,
        item_errors,
        in_flight,
        bytes,
        not_modified,
        next_visit_ms,
    }
}

/// The inverse of [`counters`].
#[must_use]
pub fn counters_to_wire(counters: Counters) -> v1::Counters {
    let Counters {
        discovered,
        succeeded,
        failed,
        skipped,
        unfollowed,
        admitted,
        admitted_closed,
        items,
        item_errors,
        in_flight,
        bytes,
        not_modified,
        next_visit_ms,
    } = counters;
    v1::Counters {
        discovered,
        succeeded,
        failed,
        skipped,
        unfollowed,
        admitted,
        admitted_closed,
        items,
        item_errors,
        in_flight,
        bytes,
        not_modified,
        next_visit_ms,
    }
}

#[cfg(test)]
mod tests;
