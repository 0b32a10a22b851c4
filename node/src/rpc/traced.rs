//! Calls of other nodes that belong to a trace go on in it.

use crate::traces;
use std::task::{Context, Poll};
use tower::Service;
use tracing::Instrument;
use tracing::instrument::Instrumented;

/// A service whose calls have a span each, if their caller's have one.
#[derive(Clone)]
pub(super) struct Traced<S>(pub(super) S);

impl<S, B> Service<http::Request<B>> for Traced<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let trace = request.headers().get(traces::HEADER).and_then(|value| value.to_str().ok());
        let span = traces::served(request.uri().path(), trace);
        self.0.call(request).instrument(span)
    }
}
