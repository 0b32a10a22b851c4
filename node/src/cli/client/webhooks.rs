//! Messages to webhooks, as the gateway tells of them.

use super::{Client, ClientError, json};
use crate::crawl::deliveries::Delivery;
use crate::gateway::DeliveryList;
use reqwest::Method;
use scrapering_core::frontier::delivery::DeliveryId;
use scrapering_core::frontier::record::JobId;

impl Client {
    /// The messages to the webhooks of a job.
    pub(in crate::cli) async fn deliveries(&self, job: JobId) -> Result<DeliveryList, ClientError> {
        self.read(&format!("/v1/webhooks/deliveries?job={job}")).await
    }

    /// Sends a message once more; asked for twice, it is sent at least once.
    pub(in crate::cli) async fn redeliver(&self, id: DeliveryId) -> Result<Delivery, ClientError> {
        let path = format!("/v1/webhooks/deliveries/{id}/redeliver");
        json(self.call(Method::POST, &path, |request| request).await?).await
    }
}
