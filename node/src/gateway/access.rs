//! Who may call a route: checked before anything else of a request is looked at; and the record of every change that was asked for.

use super::GatewayState;
use super::problem::Problem;
use crate::auth::{AuthError, Caller, Scope, Verifier};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, StatusCode};

/// Where the log says who asked for which change, and what came of it.
const AUDIT: &str = "audit";

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody: probes and descriptions that say nothing about jobs or the ring.
    Open,
    /// Callers whose token carries this scope.
    Needs(Scope),
}

/// Lets a request through when its token carries `scope`; handlers find the [`Caller`] among its extensions.
pub(super) async fn check(
    State((state, scope)): State<(GatewayState, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let header = match (headers.next(), headers.next()) {
        (_, Some(_)) => Err(AuthError::Header),
        (first, None) => Ok(first.map(|value| value.as_bytes().to_vec())),
    };
    let verdict = match header {
        Ok(header) => state.verifier.admit(header.as_deref(), scope).await,
        Err(error) => Err(error),
    };
    let caller = match verdict {
        Ok(caller) => caller,
        Err(error) => {
            tracing::info!(path, %method, reason = %error, "request refused");
            return Problem::from(error).into_response();
        }
    };
    if let Err(problem) = state.limits.count(&caller) {
        tracing::info!(path, %method, subject = caller.subject, "request refused: too many");
        return problem.into_response();
    }
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    if is_events(&response) {
        response = while_good(response, state.verifier.clone(), caller.clone());
    }
    if method != Method::GET && method != Method::HEAD {
        record(&caller, &method, &path, response.status());
    }
    response
}

fn is_events(response: &Response) -> bool {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| media_type.starts_with("text/event-stream"))
}

/// Events end with the token that asked for them; whoever goes on with another one goes on behind the last event.
fn while_good(response: Response, verifier: Verifier, caller: Caller) -> Response {
    let over = async move { verifier.until_over(&caller).await };
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(over))))
}

fn record(caller: &Caller, method: &Method, path: &str, status: StatusCode) {
    let Caller { subject, tenant, token_id, .. } = caller;
    let token = token_id.as_deref().unwrap_or_default();
    let status = status.as_u16();
    tracing::info!(target: AUDIT, subject, %tenant, token, %method, path, status, "a change was asked for");
}
