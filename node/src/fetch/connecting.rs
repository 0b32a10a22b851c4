//! The clocks of a request before its answer: one while it waits for a connection of its own, another while it waits for the answer.
//!
//! Whether a request gets a new connection or one that is open already, the HTTP client alone knows; and its connector is
//! not told for which request it connects. But a client polls it in the task of the request, and so a variable of that
//! task brings the request's time there and the news back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use scrapering_core::job::Timeouts;
use tokio::sync::watch;
use tokio::time::{Instant, Timeout};
use tower::{BoxError, Layer, Service};

use super::clock::{Deadline, LONGEST};
use super::error::{FetchError, Phase};

/// How long a request that has no time of its own may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

tokio::task_local! {
    static REQUEST: Request;
}

/// What a connector has to know of the request that it connects for.
#[derive(Clone)]
struct Request {
    connect: Duration,
    stage: watch::Sender<Stage>,
}

/// What a request waits for.
#[derive(Clone, Copy)]
enum Stage {
    /// A connection of its own.
    Connection,
    /// The answer, since then.
    Answer(Instant),
}

/// The time to connect is over.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
pub(super) struct ConnectTimedOut;

/// Waits for the answer to a request that `sending` sends, within its times.
///
/// # Errors
/// [`FetchError::Timeout`] with the clock that ran out; that of the connection is the connector's to tell.
pub(super) async fn answered<T>(
    timeouts: Timeouts,
    deadline: Deadline,
    sending: impl Future<Output = T>,
) -> Result<T, FetchError> {
    let (stage, mut seen) = watch::channel(Stage::Answer(Instant::now()));
    let sending = REQUEST.scope(Request { connect: timeouts.connect, stage }, sending);
    tokio::pin!(sending);
    loop {
        let patience = match *seen.borrow_and_update() {
            Stage::Connection => LONGEST,
            Stage::Answer(since) => timeouts.first_byte.saturating_sub(since.elapsed()),
        };
        tokio::select! {
            biased;
            answer = deadline.limit(patience, Phase::FirstByte, sending.as_mut()) => return answer,
            Ok(()) = seen.changed() => {}
        }
    }
}

/// Connects, within the time that the request of this task has for that.
pub(super) fn connecting<F: Future>(connecting: F) -> Connecting<F> {
    let request = REQUEST.try_with(Clone::clone).ok();
    if let Some(request) = &request {
        request.stage.send_replace(Stage::Connection);
    }
    let patience = request.as_ref().map_or(CONNECT, |request| request.connect);
    Connecting {
        connecting: Box::pin(tokio::time::timeout(patience, connecting)),
        stage: request.map(|request| request.stage),
    }
}

/// See [`connecting`].
pub(super) struct Connecting<F> {
    connecting: Pin<Box<Timeout<F>>>,
    /// Of the request that waits for this; `None` once it does not.
    stage: Option<watch::Sender<Stage>>,
}

impl<F: Future> Future for Connecting<F> {
    type Output = Result<F::Output, ConnectTimedOut>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.connecting.as_mut().poll(cx);
        // A client that finds an open connection meanwhile lets a task of its own finish this one.
        let is_left_alone = REQUEST.try_with(|_| ()).is_err();
        if (polled.is_ready() || is_left_alone)
            && let Some(stage) = self.stage.take()
        {
            stage.send_replace(Stage::Answer(Instant::now()));
        }
        polled.map_err(|_| ConnectTimedOut)
    }
}

/// Puts [`connecting`] around a connector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed;

impl<S> Layer<S> for Timed {
    type Service = TimedConnector<S>;

    fn layer(&self, connector: S) -> TimedConnector<S> {
        TimedConnector(connector)
    }
}

/// See [`Timed`].
#[derive(Clone, Debug)]
pub(super) struct TimedConnector<S>(S);

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = connecting(self.0.call(target));
        Box::pin(async move { connecting.await?.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(30);

    async fn wait<T>(
        connect: Duration,
        first_byte: Duration,
        sending: impl Future<Output = T>,
    ) -> Result<T, FetchError> {
        let timeouts = Timeouts { connect, first_byte, total: LONG };
        answered(timeouts, Deadline::after(timeouts.total), sending).await
    }

    /// A request that has its answer with its connection; begun, like that of a client, when it is polled.
    async fn connected<T>(connection: impl Future<Output = T>) -> Result<T, ConnectTimedOut> {
        connecting(connection).await
    }

    fn phase<T: std::fmt::Debug>(end: Result<T, FetchError>) -> Phase {
        match end {
            Err(FetchError::Timeout { phase }) => phase,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_clock_of_the_answer_starts_when_there_is_a_connection() {
        let end = wait(LONG, SHORT, connected(tokio::time::sleep(SHORT * 2))).await;
        assert!(matches!(end, Ok(Ok(()))), "{end:?}");
        let end = wait(LONG, SHORT, async {
            connecting(std::future::ready(())).await?;
            pending::<Result<(), ConnectTimedOut>>().await
        });
        assert_eq!(phase(end.await), Phase::FirstByte);
    }

    #[tokio::test]
    async fn on_an_open_connection_it_starts_at_once() {
        assert_eq!(phase(wait(LONG, SHORT, pending::<()>()).await), Phase::FirstByte);
    }

    #[tokio::test]
    async fn a_connection_has_the_time_of_its_request() {
        let end = wait(SHORT, LONG, connected(pending::<()>())).await;
        assert!(matches!(end, Ok(Err(ConnectTimedOut))), "{end:?}");
    }

    #[tokio::test]
    async fn a_connection_that_is_left_to_another_task_stops_no_clock() {
        let end = wait(LONG, SHORT, async {
            let mut own = connecting(pending::<()>());
            assert!(futures::poll!(&mut own).is_pending());
            tokio::spawn(own);
            pending::<()>().await;
        });
        assert_eq!(phase(end.await), Phase::FirstByte);
    }

    #[tokio::test]
    async fn the_total_ends_every_wait() {
        let timeouts = Timeouts { connect: LONG, first_byte: LONG, total: SHORT };
        let end = answered(timeouts, Deadline::after(SHORT), connected(pending::<()>())).await;
        assert_eq!(phase(end), Phase::Total);
        assert_eq!(phase(answered(timeouts, Deadline::after(SHORT), pending::<()>()).await), Phase::Total);
    }
}
