//! Two operators on a real API server: one acts, the other takes over when it falls silent, and the first ends when it wakes.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset these tests do nothing, and `make test` says so.

use anyhow::ensure;
use scrapering_e2e::door::until;
use scrapering_e2e::kube::stage::{LIMIT, NAMESPACE, OPERATOR};
use scrapering_e2e::kube::{Operator, Stage, rights};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_operator_writes_nothing_before_the_first_is_silent_and_the_first_ends_when_it_wakes()
-> anyhow::Result<()> {
    let Some((mut stage, folder)) = Stage::if_any().await? else { return Ok(()) };
    let token = rights::token(&stage.client(), NAMESPACE).await?;
    let mut second = Operator::of(&stage.plane, folder.path(), "second", token).await?;
    until("an operator that leads", LIMIT, async || {
        Ok((stage.leader().await?.as_deref() == Some(OPERATOR)).then_some(()))
    })
    .await?;
    second.start()?;
    stage.make_ring(json!({ "replicas": 1, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(1).await?;
    ensure!(second.tail().contains("waits for the lease"), "{}", second.tail());
    ensure!(second.way().writes().is_empty(), "the second has written {:?}", second.way().writes());

    stage.operator.signal("STOP").await?;
    until("a second operator that leads", LIMIT, async || {
        Ok((stage.leader().await?.as_deref() == Some("second")).then_some(()))
    })
    .await?;
    stage.edit_ring(json!({ "podAnnotations": { "example.com/by": "second" } })).await?;
    stage.status_when("a change that the second brings about", |_| true).await?;
    ensure!(!second.way().writes().is_empty(), "somebody else has written");

    stage.operator.signal("CONT").await?;
    let status = stage.operator.ended(LIMIT).await?;
    ensure!(status.is_some_and(|status| status != 0), "it ended with {status:?} although it lost its lease");
    stage.settled(1).await?;
    ensure!(second.stop().await? == Some(0), "{}", second.tail());
    ensure!(stage.leader().await?.is_none_or(|holder| holder.is_empty()), "the lease was not given back");
    Ok(())
}
