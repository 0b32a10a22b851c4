//! The connection to one peer, which also notices when the peer says that this node was removed from the ring.

use crate::rpc::gate::{REASON_HEADER, REMOVED};
use crate::traces;
use futures::future::BoxFuture;
use http::HeaderValue;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::transport::{Channel, Error};
use tower::Service;

/// What clients of a peer's services speak through. A cheap clone.
#[derive(Clone)]
pub struct PeerChannel {
    channel: Channel,
    removed: watch::Sender<bool>,
}

impl PeerChannel {
    pub(super) const fn new(channel: Channel, removed: watch::Sender<bool>) -> Self {
        Self { channel, removed }
    }
}

impl Service<http::Request<Body>> for PeerChannel {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(trace) = traces::carried(&traces::here())
            && let Ok(trace) = HeaderValue::from_str(&trace)
        {
            request.headers_mut().insert(traces::HEADER, trace);
        }
        let (answer, removed) = (self.channel.call(request), self.removed.clone());
        Box::pin(async move {
            let answer = answer.await?;
            // A refusal has no body, so its metadata stand in the first and only header block.
            if answer.headers().get(REASON_HEADER).is_some_and(|reason| reason == REMOVED) {
                removed.send_if_modified(|removed| !std::mem::replace(removed, true));
            }
            Ok(answer)
        })
    }
}
