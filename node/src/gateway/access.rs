//! Who may call a route: checked before anything else of a request is looked at.

use super::GatewayState;
use super::problem::Problem;
use crate::auth::{AuthError, Scope};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody: probes that say nothing about jobs or the ring.
    Open,
    /// Callers whose token carries this scope.
    Needs(Scope),
}

/// Lets a request through when its token carries `scope`; handlers find the [`Caller`](crate::auth::Caller) among its extensions.
pub(super) async fn check(
    State((state, scope)): State<(GatewayState, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let verdict = match (headers.next(), headers.next()) {
        (_, Some(_)) => Err(AuthError::Header),
        (first, None) => state.verifier.authorize(first.map(|value| value.as_bytes()), scope),
    };
    match verdict {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            tracing::info!(path = request.uri().path(), method = %request.method(), reason = %error, "request refused");
            Problem::from(error).into_response()
        }
    }
}
