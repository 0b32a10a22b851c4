//! Webhooks: which messages a job's receivers were sent, what they answered, and the same once more.

use super::GatewayState;
use super::access::Access;
use super::kv::parameters;
use super::openapi::{Input, Operation, Parameter};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::crawl::deliveries::Delivery;
use crate::crawl::jobs::JobRef;
use axum::extract::{FromRequestParts, Path, State};
use axum::{Extension, Json};
use http::request::Parts;
use http::{Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::frontier::delivery::DeliveryId;
use scrapering_core::frontier::record::JobId;
use serde::{Deserialize, Serialize};

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/webhooks/deliveries", Access::Needs(Scope::JobsRead), list)
            .named("listDeliveries", "Lists the messages to the webhooks of a job, and what became of them.")
            .answers::<DeliveryList>(StatusCode::OK, "Those that wait, and the last 50 of each webhook.")
            .may_fail(&[Kind::JobNotFound, Kind::Unavailable]),
        Route::new(Method::POST, "/v1/webhooks/deliveries/{id}/redeliver", Access::Needs(Scope::JobsWrite), redeliver)
            .named("redeliver", "Sends a message to a webhook once more, from now on, as if it was new.")
            .answers::<Delivery>(StatusCode::ACCEPTED, "It is being sent.")
            .may_fail(&[Kind::JobNotFound, Kind::Conflict, Kind::Unavailable, Kind::DiskFull, Kind::OutcomeUnknown]),
    ]
}

/// Messages to webhooks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryList {
    /// The newest first.
    pub items: Vec<Delivery>,
}

/// `?job=`
struct OfJob(JobId);

impl<S: Send + Sync> FromRequestParts<S> for OfJob {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parameters(parts.uri.query().unwrap_or_default(), &["job"])?;
        let job = given.get("job").and_then(|job| job.parse().ok());
        job.map(Self).ok_or_else(|| {
            let detail = "job must be the id of a job, a UUID such as 0198c1d2-7f3e-7abc-9def-0123456789ab";
            Problem::new(Kind::InvalidParameter, detail)
        })
    }
}

impl Input for OfJob {
    fn describe(operation: &mut Operation) {
        let schema = |_: &mut schemars::SchemaGenerator| json_schema!({"type": "string", "format": "uuid"});
        operation.take(Parameter::query("job", "Which job.", schema).required());
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// The message named in the path.
struct DeliveryPath(DeliveryId);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        let id = text.parse::<DeliveryId>();
        id.map(Self).map_err(|error| Problem::new(Kind::DeliveryNotFound, format!("the path names none: {error}")))
    }
}

impl Input for DeliveryPath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path(
            "id",
            "The delivery's id, as the list and the header `webhook-id` say it.",
            |_| json_schema!({"type": "string", "minLength": 1, "maxLength": 64}),
        ));
        operation.may_fail(&[Kind::DeliveryNotFound]);
    }
}

/// `GET /v1/webhooks/deliveries`
async fn list(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    OfJob(id): OfJob,
) -> Result<Json<DeliveryList>, Problem> {
    let job = JobRef { tenant: caller.tenant, id };
    Ok(Json(DeliveryList { items: state.jobs.deliveries(&job).await? }))
}

/// `POST /v1/webhooks/deliveries/{id}/redeliver`
async fn redeliver(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    DeliveryPath(id): DeliveryPath,
) -> Result<(StatusCode, Json<Delivery>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(state.jobs.redeliver(&caller.tenant, id).await?)))
}
