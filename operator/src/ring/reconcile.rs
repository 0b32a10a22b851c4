//! One reconcile of one ring, from the first read to the status.
//!
//! Each part goes on when another has failed: certificates are renewed while an object is refused, and the status tells
//! of both.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Client, Resource};
use scrapering_crds::ScrapeRing;
use scrapering_crds::ring::CertificateSource;
use thiserror::Error;

use super::build::OptionalApi;
use super::certificates::issued::{self, Handed};
use super::certificates::{Certificates, Terms};
use super::dereference::{Found, dereference};
use super::keys::Keys;
use super::neighbourhood::Served;
use super::optional::Absent;
use super::patience::Patience;
use super::status::{Observed, Problem, news};
use super::topology::{self, Sight, Step};
use super::validate::{ValidatedRing, validate};
use super::{Config, KIND, act, apply, build, certificates, contract, look, metrics_token, status};
use crate::desk::{Desk, key};
use crate::metrics::Metrics;

/// A healthy ring is looked at again this often; the watches report every change in between.
pub(super) const RESYNC: Duration = Duration::from_secs(300);
/// A ring with a problem is looked at more often: Secrets are not watched, since that would need to read them all.
pub(super) const RECHECK: Duration = Duration::from_secs(30);
/// While an operation runs the nodes are asked this often: nobody tells the operator of what happens among them.
pub(super) const STEP: Duration = Duration::from_secs(3);

/// What all reconciles share.
pub(super) struct Context {
    desk: Desk,
    config: Config,
    patience: Patience,
    absent: Absent,
    served: Served,
}

impl Context {
    pub(super) fn new(client: Client, config: Config, metrics: Metrics) -> Self {
        Self {
            desk: Desk::new(client, KIND, metrics),
            config,
            patience: Patience::default(),
            absent: Absent::default(),
            served: Served::default(),
        }
    }

    /// The optional APIs that rings have objects of.
    pub(super) const fn served(&self) -> &Served {
        &self.served
    }
}

/// Why a reconcile must be tried again. The API server or the network is at fault; whatever was applied stays.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("cannot read what the ring refers to")]
    Dereference(#[source] kube::Error),
    #[error("{0} part(s) of the ring could not be brought about; the ring's status names them")]
    Apply(usize),
    #[error("cannot write the ring's status")]
    Status(#[source] kube::Error),
}

pub(super) async fn reconcile(ring: Arc<DeserializeGuard<ScrapeRing>>, context: Arc<Context>) -> Result<Action, Error> {
    context.desk.begun();
    if let Err(invalid) = &ring.0 {
        tracing::warn!(ring = key(&*ring), error = invalid.error, "not a ScrapeRing this version can read; left alone");
        return Ok(Action::await_change());
    }
    let action = match dereference(&context.desk.client, ring.meta()).await.map_err(Error::Dereference)? {
        Some(found) => reconcile_found(&context, found).await?,
        None => {
            let uid = ring.meta().uid.as_deref().unwrap_or_default();
            context.patience.forget(uid);
            context.absent.forget(uid);
            Action::await_change()
        }
    };
    context.desk.succeeded(&*ring);
    Ok(action)
}

pub(super) fn retry_later(ring: Arc<DeserializeGuard<ScrapeRing>>, _: &Error, context: Arc<Context>) -> Action {
    context.desk.failed(&*ring)
}

/// What came of bringing a ring about.
#[derive(Default)]
struct Outcome {
    problems: Vec<Problem>,
    /// Parts that failed for reasons that time may cure.
    failed: usize,
    certificates: Option<Certificates>,
    /// What is waited for before the nodes have the certificates that they should have.
    certificate_lack: Option<String>,
    /// APIs that the ring uses and that the cluster does not serve; `None` when nobody has looked.
    missing: Option<Vec<&'static OptionalApi>>,
    sight: Option<Sight>,
    step: Option<Step>,
}

async fn reconcile_found(context: &Context, mut found: Found) -> Result<Action, Error> {
    let now = Timestamp::now();
    let mut outcome = Outcome::default();
    match validate(&found, &context.config.defaults) {
        Ok(valid) if valid.spec.paused => outcome.sight = seen(&valid, &found, now),
        Ok(mut valid) => bring_about(context, &mut valid, &mut found, &mut outcome, now).await,
        Err(refused) => outcome.problems.push(Problem::from(&refused)),
    }
    let observed = Observed {
        ring: &found.ring,
        stateful_set: found.stateful_set.as_ref(),
        sight: outcome.sight.as_ref(),
        step: outcome.step.as_ref(),
        certificates: outcome.certificates.as_ref(),
        certificate_lack: outcome.certificate_lack.as_deref(),
        missing: outcome.missing.as_deref(),
        problems: &outcome.problems,
    };
    if let Some(next) = status::next(&observed, now) {
        context.desk.write_status(&found.ring, &next).await.map_err(Error::Status)?;
        tell(context, &found.ring, &next).await;
    }
    if outcome.failed > 0 {
        return Err(Error::Apply(outcome.failed));
    }
    let is_unsettled = outcome.step.is_some() || outcome.sight.as_ref().is_some_and(|sight| sight.trouble().is_some());
    let is_waiting =
        outcome.certificate_lack.is_some() || outcome.missing.as_ref().is_some_and(|missing| !missing.is_empty());
    // A certificate that lives for minutes is due before a healthy ring would be looked at again.
    let life = found.ring.spec.security.tls.leaf_duration.0;
    Ok(Action::requeue(match (found.ring.spec.paused, is_unsettled, outcome.problems.is_empty() && !is_waiting) {
        (true, _, _) => RESYNC,
        (false, false, true) => RESYNC.min(life / 10).max(STEP),
        (false, true, _) => STEP,
        (false, false, false) => RECHECK,
    }))
}

async fn tell(context: &Context, ring: &ScrapeRing, next: &scrapering_crds::ScrapeRingStatus) {
    for event in news::news(ring.status.as_ref(), next) {
        context.desk.publish(ring, &event).await;
    }
}

fn seen(valid: &ValidatedRing, found: &Found, now: Timestamp) -> Option<Sight> {
    found.stateful_set.as_ref().map(|workload| look::sight(valid, found, workload, now))
}

async fn bring_about(
    context: &Context,
    valid: &mut ValidatedRing,
    found: &mut Found,
    outcome: &mut Outcome,
    now: Timestamp,
) {
    outcome.problems.extend(valid.held.iter().map(Problem::from));
    if !ensure_keys(context, valid, found, outcome).await {
        return;
    }
    ensure_certificates(context, valid, found, outcome, now).await;
    valid.trusted = found.trusted();
    ensure_metrics_token(context, valid, found, outcome).await;
    if let Some(before) = seen(valid, found, now) {
        valid.may_evict = before.trouble().is_none() && topology::next(&before).is_none();
    }
    let applied =
        apply::apply(&context.desk.client, &context.absent, &context.served, valid, build::build(valid)).await;
    outcome.missing = Some(applied.missing);
    outcome.failed += applied.failures.len();
    outcome.problems.extend(applied.failures.iter().map(Problem::from));
    found.stateful_set = applied.stateful_set.or(found.stateful_set.take());
    outcome.sight = seen(valid, found, now);
    outcome.step = outcome.sight.as_ref().and_then(topology::next);
    if let (Some(step), Some(lack)) = (&mut outcome.step, &outcome.certificate_lack) {
        step.wait_for_certificate(lack);
    }
    if let Some(step) = outcome.step.clone() {
        take_or_pass(context, valid, found, outcome, step).await;
    }
    let limit = valid.spec.scale_in.timeout;
    if context.patience.is_over(&valid.owner.uid, outcome.step.as_ref(), limit.0, Instant::now()) {
        outcome.problems.extend(outcome.step.as_ref().map(|step| Problem::of_slow_leave(&valid.name, step, limit)));
    }
}

/// Does a step. Where the server does not let a volume grow, what comes after it is done instead.
async fn take_or_pass(context: &Context, valid: &ValidatedRing, found: &Found, outcome: &mut Outcome, step: Step) {
    let Err(error) = take(context, valid, found, &step, false).await else { return };
    let may_pass = step.kind == topology::Kind::Expand && error.is_refusal();
    let Some(sight) = outcome.sight.as_mut().filter(|_| may_pass) else {
        outcome.failed += 1;
        return outcome.problems.push(Problem::from(&error));
    };
    outcome.problems.push(Problem { reason: "StorageExpansionUnsupported", ..Problem::from(&error) });
    sight.size.is_refused = true;
    outcome.step = topology::next(sight);
    let Some(step) = &outcome.step else { return };
    if let Err(error) = take(context, valid, found, step, true).await {
        outcome.failed += 1;
        outcome.problems.push(Problem::from(&error));
    }
}

/// Does a step. What cannot be taken back is done only if a second look, begun after the first was over, asks for the
/// very same; volumes that the server has just refused to let grow are left out of it.
async fn take(
    context: &Context,
    valid: &ValidatedRing,
    found: &Found,
    step: &Step,
    passes_volumes: bool,
) -> Result<(), act::Error> {
    if step.action == topology::Action::Wait {
        return Ok(());
    }
    tracing::info!(ring = valid.name, namespace = valid.namespace, step = step.word, "{}", step.message);
    if !step.action.is_irreversible() {
        return act::act(&context.desk.client, valid, found, step).await;
    }
    let Some(again) = dereference(&context.desk.client, found.ring.meta()).await? else { return Ok(()) };
    let Ok(valid) = validate(&again, &context.config.defaults) else { return Ok(()) };
    let mut sight = seen(&valid, &again, Timestamp::now());
    if let Some(sight) = &mut sight {
        sight.size.is_refused = passes_volumes;
    }
    if sight.as_ref().and_then(topology::next).is_none_or(|second| second.action != step.action) {
        tracing::info!(ring = valid.name, step = step.word, "a second look does not ask for this step any more");
        return Ok(());
    }
    act::act(&context.desk.client, &valid, &again, step).await
}

/// Makes the ring's keys if there are none. Whether there may be none is checked before.
async fn ensure_keys(context: &Context, valid: &ValidatedRing, found: &mut Found, outcome: &mut Outcome) -> bool {
    if found.keys.is_some() {
        return true;
    }
    let made = match Keys::make(&valid.founders) {
        Ok(made) => made,
        Err(error) => {
            outcome.failed += 1;
            outcome.problems.push(Problem { reason: "KeysNotMade", message: error.to_string() });
            return false;
        }
    };
    let name = contract::keys_name(&valid.name);
    let secret = build::secret(valid, name.clone(), made, valid.keeps_volumes());
    if let Err(error) = apply::create(&context.desk.client, &valid.namespace, &secret).await {
        outcome.failed += 1;
        outcome.problems.push(Problem::from(&apply::Failure { object: format!("Secret {name}"), error }));
        return false;
    }
    found.keys = secret.data;
    true
}

/// The certificates that a ring shall have, from whoever issues them.
fn due(context: &Context, valid: &ValidatedRing, found: &Found, now: Timestamp) -> Result<Handed, certificates::Error> {
    let tls = &valid.spec.security.tls;
    let leaf_s = i64::try_from(tls.leaf_duration.0.as_secs()).unwrap_or(i64::MAX);
    let terms = Terms { leaf_s, ..context.config.terms };
    let (authority, leaf) = (found.authority.as_ref(), found.leaf.as_ref());
    match tls.source {
        CertificateSource::Operator => {
            let due = certificates::due(&valid.name, &valid.names, authority, leaf, terms, now)?;
            Ok(Handed { certificates: Some(due), lack: None })
        }
        CertificateSource::CertManager => {
            issued::due(&valid.name, &valid.names, found.issued.as_ref(), authority, leaf, terms, now)
        }
    }
}

/// Keeps a token for Prometheus where one is asked for, and takes it away where it is not any more.
async fn ensure_metrics_token(context: &Context, valid: &ValidatedRing, found: &Found, outcome: &mut Outcome) {
    let present = found.metrics.as_ref().and_then(|data| data.get(contract::METRICS_TOKEN));
    let present = present.and_then(|token| std::str::from_utf8(&token.0).ok());
    let name = contract::metrics_name(&valid.name);
    let token = match (&valid.spec.telemetry.service_monitor, &found.keys) {
        (Some(_), Some(keys)) => {
            let Ok(keys) = Keys::read(&contract::keys_name(&valid.name), keys) else { return };
            match metrics_token::due(&keys, &valid.namespace, present, SystemTime::now()) {
                Ok(token) => Some(token),
                Err(error) => {
                    let message = format!("Secret {name}: the ring's key signs no token: {error}");
                    return outcome.problems.push(Problem { reason: "SecretInvalid", message });
                }
            }
        }
        _ => None,
    };
    if token.as_deref() == present {
        return;
    }
    let data = token.map(|token| (contract::METRICS_TOKEN.to_owned(), ByteString(token.into_bytes())));
    let secret = build::secret(valid, name.clone(), data.into_iter().collect(), false);
    if let Err(error) = apply::apply_secret(&context.desk.client, valid, &secret).await {
        outcome.failed += 1;
        outcome.problems.push(Problem::from(&apply::Failure { object: format!("Secret {name}"), error }));
    }
}

async fn ensure_certificates(
    context: &Context,
    valid: &ValidatedRing,
    found: &mut Found,
    outcome: &mut Outcome,
    now: Timestamp,
) {
    let due = match due(context, valid, found, now) {
        Ok(due) => due,
        Err(error) => return outcome.problems.push(Problem::from(&error)),
    };
    outcome.certificate_lack = due.lack;
    let Some(due) = due.certificates else { return };
    // The authority first: a leaf whose authority was not kept could not be renewed.
    let wanted = [
        (contract::ca_name(&valid.name), &due.authority, found.authority.as_ref()),
        (contract::tls_name(&valid.name), &due.leaf, found.leaf.as_ref()),
    ];
    for (name, data, present) in wanted {
        if present == Some(data) {
            continue;
        }
        let secret = build::secret(valid, name.clone(), data.clone(), false);
        if let Err(error) = apply::apply_secret(&context.desk.client, valid, &secret).await {
            outcome.failed += 1;
            return outcome.problems.push(Problem::from(&apply::Failure { object: format!("Secret {name}"), error }));
        }
    }
    found.authority = Some(due.authority.clone());
    found.leaf = Some(due.leaf.clone());
    outcome.certificates = Some(due);
}
