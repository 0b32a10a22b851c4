//! What an administrator asks of this node through another one.

use super::convert;
use super::gate::Gate;
use crate::driver::Driver;
use crate::driver::recover::Recovered;
use futures::future::BoxFuture;
use scrapering_proto::v1;
use scrapering_proto::v1::control_server::Control;
use std::collections::BTreeSet;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Begins to leave, durably; the error is a sentence.
pub type Leave = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Lets peers ask. A cheap clone.
#[derive(Clone)]
pub struct ControlDoor {
    gate: Gate,
    driver: Driver,
    leave: Leave,
}

impl ControlDoor {
    /// A door behind `gate` to `leave`, and to `driver`'s node.
    #[must_use]
    pub const fn new(gate: Gate, driver: Driver, leave: Leave) -> Self {
        Self { gate, driver, leave }
    }
}

#[tonic::async_trait]
impl Control for ControlDoor {
    async fn leave(&self, request: Request<v1::LeaveRequest>) -> Result<Response<v1::LeaveReply>, Status> {
        self.gate.admit(request, |message| message.header.take())?;
        (self.leave)().await.map_err(Status::failed_precondition)?;
        Ok(Response::new(v1::LeaveReply {}))
    }

    async fn give_up(&self, request: Request<v1::GiveUpRequest>) -> Result<Response<v1::GiveUpReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let lost = message.lost.iter().map(|node| convert::node(node)).collect::<Result<BTreeSet<_>, _>>()?;
        lost.iter().for_each(|node| self.driver.members().remove(*node));
        let Recovered { recovered, unfinished, .. } = self.driver.give_up(&lost).await;
        Ok(Response::new(v1::GiveUpReply { recovered: recovered as u32, unfinished: unfinished as u32 }))
    }
}
