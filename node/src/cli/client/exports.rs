//! Exports of jobs through any gateway. Whatever it sends may be sent twice: a key makes one export.

use super::{Client, ClientError, json};
use crate::gateway::{ExportList, ExportObject, IDEMPOTENCY_KEY_HEADER};
use reqwest::Method;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::job::OutputSpec;

impl Client {
    /// Has the ring write what a job found; `key` makes a repetition harmless.
    pub(in crate::cli) async fn make_export(
        &self,
        job: JobId,
        output: &OutputSpec,
        key: &str,
    ) -> Result<ExportObject, ClientError> {
        let path = format!("/v1/jobs/{job}/exports");
        let asked = |request: reqwest::RequestBuilder| request.header(IDEMPOTENCY_KEY_HEADER, key).json(output);
        json(self.call(Method::POST, &path, asked).await?).await
    }

    /// The exports of a job.
    pub(in crate::cli) async fn exports(&self, job: JobId) -> Result<ExportList, ClientError> {
        self.read(&format!("/v1/jobs/{job}/exports")).await
    }
}
