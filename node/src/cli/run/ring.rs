//! The ring a job runs on: the one that answers, or one started in this process.

use super::super::client::Client;
use super::super::folder;
use super::super::terms::Gateway;
use super::{PATIENCE, RunArgs};
use crate::app::LocalRing;
use anyhow::Context;

/// A ring that can be spoken to.
pub(super) struct Ring {
    pub(super) client: Client,
    started: Option<LocalRing>,
}

impl Ring {
    /// The ring that `args` mean; started here if it is a local one that does not run.
    pub(super) async fn find_or_start(args: &RunArgs) -> anyhow::Result<Self> {
        let address = match &args.gateway {
            Some(Gateway::Url(url)) => {
                args.guard.warn_elsewhere(url.as_str());
                let client = args.trust.client_of_url(url, &args.data)?.patient(PATIENCE);
                return Ok(Self { client, started: None });
            }
            Some(Gateway::Address(address)) => Some(*address),
            None => None,
        };
        // A ring that is described here goes before the current context.
        let is_here = args.data.data.is_some() || address.is_some() || args.shape.is_given();
        if let Some(context) =
            (!is_here || args.context.context.is_some()).then(|| args.context.chosen()).transpose()?.flatten()
        {
            let client = args.trust.client_of_context(&context)?.patient(PATIENCE);
            args.guard.warn_elsewhere("of the context");
            return Ok(Self { client, started: None });
        }
        let (root, shape) = (args.data.root()?, args.shape.shape(address));
        if folder::is_ring(&root) {
            let dir = folder::open(&root, &shape)?;
            let client = args.trust.client_of_folder(&dir)?.patient(PATIENCE);
            let is_up = client.is_up().await.with_context(|| {
                format!(
                    "an address of the ring in {} is taken; free it, or use another ring with --data DIR",
                    root.display()
                )
            })?;
            if is_up {
                args.guard.warn_elsewhere(&root.display().to_string());
                return Ok(Self { client, started: None });
            }
        }
        let dir = folder::open_to_start(&root, &shape).await?;
        let client = args.trust.client_of_folder(&dir)?.patient(PATIENCE);
        eprintln!(
            "No ring answers; starting one of {} nodes in this process, with its data in {}.",
            dir.nodes().len(),
            root.display()
        );
        args.guard.warn();
        let started = LocalRing::start(&dir, &args.guard.options()).await.context("the ring did not start")?;
        Ok(Self { client, started: Some(started) })
    }

    /// Stops what was started here.
    pub(super) async fn leave(self) {
        if let Some(started) = self.started {
            started.stop().await;
        }
    }
}
