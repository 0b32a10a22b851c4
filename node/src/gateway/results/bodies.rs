//! Pages as they were read. What strangers wrote is never shown as a page of this origin: it comes as bytes to be saved.

use crate::crawl::bodies::{PageBody, PageId};
use crate::crawl::jobs::JobRef;
use crate::gateway::GatewayState;
use crate::gateway::jobs::JobPath;
use crate::gateway::openapi::{Input, Operation, Parameter};
use crate::gateway::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use schemars::json_schema;

/// Where an answer says the type that the host gave.
pub(in crate::gateway) const CONTENT_TYPE_HEADER: &str = "scrapering-content-type";

/// The job and the page named in the path.
pub(super) struct PagePath(JobRef, PageId);

impl<S: Send + Sync> FromRequestParts<S> for PagePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (job, page) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map(|Path(names)| names)
            .unwrap_or_default();
        let JobPath(job) = JobPath::of(&job, parts)?;
        let page: Result<PageId, _> = page.parse();
        page.map(|page| Self(job, page)).map_err(|error| Problem::new(Kind::PageNotFound, error.to_string()))
    }
}

impl Input for PagePath {
    fn describe(operation: &mut Operation) {
        JobPath::describe(operation);
        operation.take(Parameter::path(
            "page",
            "The page's id, as the list of pages says it.",
            |_| json_schema!({"type": "string", "pattern": "^[0-9a-f]{44}$"}),
        ));
        operation.may_fail(&[Kind::PageNotFound]);
    }
}

/// `GET /v1/jobs/{id}/pages/{page}/body`
pub(super) async fn read(
    State(state): State<GatewayState>,
    PagePath(job, page): PagePath,
) -> Result<Response, Problem> {
    let PageBody { content_type, content } = state.jobs.page_body(&job, page).await?;
    let fixed = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment"),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
    ];
    let mut response = (fixed, content).into_response();
    if let Some(value) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(HeaderName::from_static(CONTENT_TYPE_HEADER), value);
    }
    Ok(response)
}
