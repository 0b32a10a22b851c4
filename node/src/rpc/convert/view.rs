//! Views and copies on the wire.

use super::{
    Checked, Malformed, accepted, accepted_to_wire, ballot, ballot_to_wire, fixed, node, owned, partition, view,
    view_to_wire,
};
use bytes::Bytes;
use scrapering_core::id::Partition;
use scrapering_core::register::{Accepted, Ballot};
use scrapering_core::sync::{Fingerprint, Root};
use scrapering_core::view::message::{Guard, Next, Reply, Report, Request};
use scrapering_core::view::{Standing, View};
use scrapering_proto::v1;
use v1::view_reply::{self, Reply as WireReply};
use v1::view_request::adopt::Guard as WireGuard;
use v1::view_request::{self as wire, Request as WireRequest};

const NOTHING: wire::Nothing = wire::Nothing {};

fn fingerprint(bytes: &[u8]) -> Checked<Fingerprint> {
    fixed(bytes, "fingerprint").map(Fingerprint)
}

fn next(next: Option<v1::Next>) -> Checked<Next> {
    let next = next.ok_or(Malformed("next"))?;
    let members = next.members.iter().map(|member| node(member)).collect::<Checked<_>>()?;
    Ok(Next { members, fingerprint: fingerprint(&next.fingerprint)? })
}

fn next_to_wire(next: Next) -> v1::Next {
    let members = next.members.iter().map(|member| owned(&member.0)).collect();
    v1::Next { members, fingerprint: owned(&next.fingerprint.0) }
}

fn some_ballot(wire: Option<v1::Ballot>) -> Checked<Ballot> {
    ballot(wire.ok_or(Malformed("ballot"))?)
}

fn entry(entry: v1::reply::Entry) -> Checked<(Vec<u8>, Accepted)> {
    Ok((entry.name.into(), accepted(entry.accepted.ok_or(Malformed("accepted"))?)?))
}

fn entry_to_wire((name, accepted): (Vec<u8>, Accepted)) -> v1::reply::Entry {
    v1::reply::Entry { name: name.into(), accepted: Some(accepted_to_wire(accepted)) }
}

fn names(names: Vec<Bytes>) -> Vec<Vec<u8>> {
    names.into_iter().map(Into::into).collect()
}

fn names_to_wire(names: Vec<Vec<u8>>) -> Vec<Bytes> {
    names.into_iter().map(Into::into).collect()
}

fn limit_to_wire(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// A request about a view.
pub(super) fn request(wire: v1::ViewRequest) -> Checked<Request> {
    Ok(match wire.request.ok_or(Malformed("view.request"))? {
        WireRequest::Seal(seal) => Request::Seal { ballot: ballot(seal)? },
        WireRequest::Decide(decide) => {
            Request::Decide { ballot: some_ballot(decide.ballot)?, next: next(decide.next)? }
        }
        WireRequest::Install(install) => Request::Install(view(install)?),
        WireRequest::List(list) => Request::List { after: list.after.map(Into::into), limit: list.limit as usize },
        WireRequest::Fetch(fetch) => Request::Fetch { names: names(fetch.names) },
        WireRequest::Adopt(adopt) => Request::Adopt {
            guard: match adopt.guard.ok_or(Malformed("guard"))? {
                WireGuard::Sealed(sealed) => Guard::Sealed(ballot(sealed)?),
                WireGuard::Learner(_) => Guard::Learner,
                WireGuard::Relay(_) => Guard::Relay,
            },
            remove: names(adopt.remove),
            entries: adopt.entries.into_iter().map(entry).collect::<Checked<_>>()?,
        },
        WireRequest::Finish(_) => Request::Finish,
        WireRequest::Status(_) => Request::Status,
        WireRequest::Retire(_) => Request::Retire,
    })
}

/// The inverse of [`request`].
pub(super) fn request_to_wire(request: Request) -> v1::ViewRequest {
    let request = match request {
        Request::Seal { ballot } => WireRequest::Seal(ballot_to_wire(ballot)),
        Request::Decide { ballot, next } => {
            WireRequest::Decide(wire::Decide { ballot: Some(ballot_to_wire(ballot)), next: Some(next_to_wire(next)) })
        }
        Request::Install(view) => WireRequest::Install(view_to_wire(view)),
        Request::List { after, limit } => {
            WireRequest::List(wire::List { after: after.map(Into::into), limit: limit_to_wire(limit) })
        }
        Request::Fetch { names } => WireRequest::Fetch(wire::Fetch { names: names_to_wire(names) }),
        Request::Adopt { guard, remove, entries } => WireRequest::Adopt(wire::Adopt {
            guard: Some(match guard {
                Guard::Sealed(ballot) => WireGuard::Sealed(ballot_to_wire(ballot)),
                Guard::Learner => WireGuard::Learner(NOTHING),
                Guard::Relay => WireGuard::Relay(NOTHING),
            }),
            remove: names_to_wire(remove),
            entries: entries.into_iter().map(entry_to_wire).collect(),
        }),
        Request::Finish => WireRequest::Finish(NOTHING),
        Request::Status => WireRequest::Status(NOTHING),
        Request::Retire => WireRequest::Retire(NOTHING),
    };
    v1::ViewRequest { request: Some(request) }
}

fn root(root: Option<v1::Root>) -> Checked<Root> {
    let root = root.ok_or(Malformed("root"))?;
    Ok(Root { fingerprint: fingerprint(&root.fingerprint)?, entries: root.entries, tombstones: root.tombstones })
}

fn root_to_wire(root: Root) -> v1::Root {
    v1::Root { fingerprint: owned(&root.fingerprint.0), entries: root.entries, tombstones: root.tombstones }
}

fn standing(number: i32) -> Checked<Standing> {
    Ok(match view_reply::Standing::try_from(number).map_err(|_| Malformed("standing"))? {
        view_reply::Standing::Active => Standing::Active,
        view_reply::Standing::Sealed => Standing::Sealed,
        view_reply::Standing::Pending => Standing::Pending,
        view_reply::Standing::Former => Standing::Former,
        view_reply::Standing::Outside => Standing::Outside,
    })
}

fn standing_to_wire(standing: Standing) -> i32 {
    let standing = match standing {
        Standing::Active => view_reply::Standing::Active,
        Standing::Sealed => view_reply::Standing::Sealed,
        Standing::Pending => view_reply::Standing::Pending,
        Standing::Former => view_reply::Standing::Former,
        Standing::Outside => view_reply::Standing::Outside,
    };
    standing.into()
}

/// An answer about a view.
pub(super) fn reply(wire: v1::ViewReply) -> Checked<Reply> {
    Ok(match wire.reply.ok_or(Malformed("view.reply"))? {
        WireReply::Sealed(sealed) => {
            let ballot = sealed.ballot.map(ballot).transpose()?;
            let accepted = ballot.map(|ballot| Ok((ballot, next(sealed.next)?))).transpose()?;
            Reply::Sealed { accepted, root: root(sealed.root)? }
        }
        WireReply::Denied(denied) => Reply::Denied(ballot(denied)?),
        WireReply::Decided(_) => Reply::Decided,
        WireReply::List(list) => {
            let name = |entry: view_reply::Name| Ok((entry.name.into(), some_ballot(entry.ballot)?));
            let entries = list.entries.into_iter().map(name).collect::<Checked<_>>()?;
            Reply::List { entries, next: list.next.map(Into::into) }
        }
        WireReply::Fetch(fetch) => Reply::Fetch(fetch.accepted.into_iter().map(accepted).collect::<Checked<_>>()?),
        WireReply::Report(report) => Reply::Report(Report {
            view: view(report.view.ok_or(Malformed("view"))?)?,
            standing: standing(report.standing)?,
            root: root(report.root)?,
        }),
    })
}

/// The inverse of [`reply`].
pub(super) fn reply_to_wire(reply: Reply) -> v1::ViewReply {
    let reply = match reply {
        Reply::Sealed { accepted, root } => {
            let (ballot, next) = accepted.unzip();
            WireReply::Sealed(view_reply::Promise {
                ballot: ballot.map(ballot_to_wire),
                next: next.map(next_to_wire),
                root: Some(root_to_wire(root)),
            })
        }
        Reply::Denied(ballot) => WireReply::Denied(ballot_to_wire(ballot)),
        Reply::Decided => WireReply::Decided(NOTHING),
        Reply::List { entries, next } => {
            let name = |(name, ballot): (Vec<u8>, Ballot)| view_reply::Name {
                name: name.into(),
                ballot: Some(ballot_to_wire(ballot)),
            };
            let entries = entries.into_iter().map(name).collect();
            WireReply::List(view_reply::List { entries, next: next.map(Into::into) })
        }
        Reply::Fetch(entries) => {
            WireReply::Fetch(v1::reply::Read { accepted: entries.into_iter().map(accepted_to_wire).collect() })
        }
        Reply::Report(Report { view, standing, root }) => WireReply::Report(view_reply::Report {
            view: Some(view_to_wire(view)),
            standing: standing_to_wire(standing),
            root: Some(root_to_wire(root)),
        }),
    };
    v1::ViewReply { reply: Some(reply) }
}

/// Views that another node knows.
pub fn views(reply: v1::ViewsReply) -> Checked<Vec<(Partition, View)>> {
    let one =
        |entry: v1::views_reply::Entry| Ok((partition(entry.partition)?, view(entry.view.ok_or(Malformed("view"))?)?));
    reply.views.into_iter().map(one).collect()
}

/// The inverse of [`views`].
#[must_use]
pub fn views_to_wire(views: Vec<(Partition, View)>) -> v1::ViewsReply {
    let one = |(partition, view): (Partition, View)| v1::views_reply::Entry {
        partition: u32::from(partition.0),
        view: Some(view_to_wire(view)),
    };
    v1::ViewsReply { views: views.into_iter().map(one).collect() }
}
