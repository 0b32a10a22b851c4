//! The custom resource definitions of all three kinds, as an API server takes them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{ScrapeJob, ScrapeRing, ScrapeSchedule};

/// Every definition, in the order of their names.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [ScrapeJob::crd(), ScrapeRing::crd(), ScrapeSchedule::crd()]
}
