//! Copies that get lost, misplaced and forgotten in rings of real nodes over loopback, and the upkeep that mends them.
//!
//! The tasks are driven by hand, unit by unit: nothing here waits for their periods.

use super::*;
use crate::app::{NodeConfig, NodeOptions, RunningNode};
use crate::background::{Next, Task};
use crate::driver::disk::BodyWrite;
use crate::identity::layout::{RingDir, Shape};
use bytes::Bytes;
use scrapering_core::body::{BodyHash, BodyRef, shelf};
use scrapering_core::frontier::keys::Name;
use scrapering_core::frontier::record::{
    Attempts, FetchedPage, Items, JobId, PageResult, UrlHash, UrlRecord, UrlState, Way, encode,
};
use scrapering_core::id::{Key, OperationId};
use scrapering_core::register::message::{Envelope, Reply, Request};
use scrapering_core::register::{Ballot, Change, Outcome, ProposerId, Versioned};
use scrapering_core::view::View;
use std::net::TcpListener;

const PARTITION: Partition = Partition(42);
/// No step of a test takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A ring of five nodes in this process.
struct Stage {
    nodes: Vec<RunningNode>,
    _folder: tempfile::TempDir,
}

/// The first of ten ports in a row that are free now.
fn free_ports() -> u16 {
    let free = |first: &u16| (0..10).all(|step| TcpListener::bind(("127.0.0.1", first + step)).is_ok());
    std::iter::repeat_with(|| rand::random_range(1_000..1_990) * 10).find(free).expect("some are free")
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let port = free_ports();
        let gateway = Some(([127, 0, 0, 1], port + 5).into());
        let shape = Shape { nodes: Some(5), gateway, ring_port_base: Some(port), ..Shape::default() };
        let dir = RingDir::open_or_init(folder.path(), &shape).expect("ring");
        let starts = dir.nodes().iter().map(async |node| {
            let config = NodeConfig::of_ring_dir(&dir, &node.name, NodeOptions::default()).expect("config");
            RunningNode::start(config).await.expect("started")
        });
        let stage = Self { nodes: futures::future::join_all(starts).await, _folder: folder };
        stage
            .until("everybody is alive for everybody, and all keep the partition in one view", async || {
                let views: Vec<View> = stage.drivers().map(|driver| View::clone(&driver.view(PARTITION))).collect();
                let is_one = views.iter().all(|view| view.members.len() == 5 && *view == views[0]);
                is_one && stage.drivers().all(|driver| driver.living_nodes().len() == 5)
            })
            .await;
        stage
    }

    fn drivers(&self) -> impl Iterator<Item = &Driver> {
        self.nodes.iter().map(|node| node.control().driver())
    }

    /// The drivers of the partition's members, in the view's order.
    fn members(&self) -> Vec<&Driver> {
        let view = self.drivers().next().expect("a node").view(PARTITION);
        let driver = |member: &NodeId| self.drivers().find(|driver| driver.me() == *member).expect("a member");
        view.members.iter().map(driver).collect()
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "in vain: {what}");
    }

    async fn stop(self) {
        futures::future::join_all(self.nodes.into_iter().map(RunningNode::stop)).await;
    }
}

/// Works until there is nothing to do for now.
async fn round(task: &mut impl Task) {
    while task.work().await.expect("a unit of work") == Next::Work {}
}

async fn holds(driver: &Driver, body: BodyRef) -> bool {
    let label = driver.disk().read(move |store| shelf::label(body, store)).await;
    label.expect("the node runs").expect("the disk is fine").is_some()
}

async fn forget(driver: &Driver, body: BodyRef) {
    assert!(driver.disk().write_bodies(BodyWrite::Forget(body)).await);
}

fn content(number: usize) -> Bytes {
    Bytes::from(format!("body {number} ").repeat(1000))
}

async fn put(driver: &Driver, number: usize) -> BodyRef {
    let hash = driver.put_body(PARTITION, content(number)).await.expect("five nodes are up");
    BodyRef { partition: PARTITION, hash }
}

/// Writes a page's record that refers to `hash`.
async fn refer(driver: &Driver, hash: BodyHash) {
    let page = FetchedPage {
        status: 200,
        fetched_ms: 1,
        attempts: 1,
        bytes: 1,
        items: 1,
        item_errors: 0,
        content: Items::Body(hash),
        stored: None,
        history: None,
    };
    let state = UrlState::Closed { sequence: 1, result: PageResult::Fetched(page) };
    let record = UrlRecord {
        url: "http://shop.example/".to_owned(),
        depth: 0,
        way: Way::default(),
        admitted: false,
        attempts: Attempts::default(),
        state,
    };
    let key = Name::Url(JobId([1; 16]), UrlHash([2; 20])).key(PARTITION);
    let outcome = driver.change_one(key, Change::Put(encode(&record))).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_a_get_misses_is_made_anew() {
    let stage = Stage::new().await;
    let members = stage.members();
    let body = put(members[4], 1).await;
    forget(members[0], body).await;
    assert_eq!(members[3].body(PARTITION, body.hash).await, Some(content(1)));
    // The node's own task is at it already.
    stage.until("the first keeper has a copy again", async || holds(members[0], body).await).await;
    stage.until("nothing is left to be repaired", async || members[3].repairs().is_empty()).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_finds_out_what_it_lacks_by_comparing() {
    let stage = Stage::new().await;
    let members = stage.members();
    let mut bodies = Vec::new();
    for number in 0..40 {
        bodies.push(put(members[0], number).await);
    }
    for body in &bodies[5..] {
        forget(members[2], *body).await;
    }
    let mut comparison = comparison::BodyComparison::new(members[2].clone(), sweep::AGE);
    stage
        .until("the third keeper has everything", async || {
            round(&mut comparison).await;
            for body in &bodies {
                if !holds(members[2], *body).await {
                    return false;
                }
            }
            true
        })
        .await;
    assert_eq!(comparison.progress().remaining, Some(0));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_this_nodes_to_keep_goes_to_all_keepers_and_only_then_away() {
    let stage = Stage::new().await;
    let members = stage.members();
    let [lost, kept] = [1, 2].map(|number| BodyRef { partition: PARTITION, hash: BodyHash::of(&content(number)) });
    assert!(members[4].keep_body(lost, content(1), Some(1000)).await);
    assert!(members[4].keep_body(kept, content(2), None).await);
    assert!(members[0].keep_body(kept, content(2), None).await);
    round(&mut handover::Handover::new(members[4].clone())).await;
    for body in [lost, kept] {
        for keeper in &members[..3] {
            assert!(holds(keeper, body).await);
        }
        assert!(!holds(members[4], body).await);
    }
    let copy = members[1].own_body(lost).await.expect("a copy");
    assert_eq!((copy.content, copy.stored_ms), (content(1), 1000), "a copy is as old as what it was made from");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_epoch_that_has_passed_is_not_handed_over() {
    let stage = Stage::new().await;
    let member = stage.members()[4];
    let body = BodyRef { partition: PARTITION, hash: BodyHash::of(&content(1)) };
    assert!(member.keep_body(body, content(1), None).await);
    let epoch = member.view(PARTITION).epoch;
    assert!(!member.disk().write_bodies(BodyWrite::HandOver(vec![body], epoch.next())).await);
    assert!(holds(member, body).await);
    assert!(member.disk().write_bodies(BodyWrite::HandOver(vec![body], epoch)).await);
    assert!(!holds(member, body).await);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_old_bodies_to_which_no_record_refers_are_swept_and_they_do_not_come_back() {
    let stage = Stage::new().await;
    let members = stage.members();
    let (needed, garbage, young) = (put(members[0], 1).await, put(members[0], 2).await, put(members[0], 3).await);
    refer(members[1], needed.hash).await;
    // As if a day had passed since the first two were put.
    for keeper in &members[..3] {
        for (body, number) in [(needed, 1), (garbage, 2)] {
            forget(keeper, body).await;
            assert!(keeper.keep_body(body, content(number), Some(1000)).await);
        }
    }
    round(&mut sweep::Sweep::new(members[0].clone(), sweep::AGE)).await;
    assert!(holds(members[0], needed).await && holds(members[0], young).await && !holds(members[0], garbage).await);
    // The others have not swept yet; what is garbage is not taken back from them, what is needed is.
    forget(members[0], needed).await;
    let mut comparison = comparison::BodyComparison::new(members[0].clone(), sweep::AGE);
    stage
        .until("what is needed is fetched again", async || {
            round(&mut comparison).await;
            holds(members[0], needed).await
        })
        .await;
    assert!(!holds(members[0], garbage).await);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_one_member_alone_has_reaches_all_members() {
    let stage = Stage::new().await;
    let members = stage.members();
    let (key, epoch) = (Key::new(PARTITION, *b"kv/test/key"), members[0].view(PARTITION).epoch);
    let ballot = Ballot { counter: 7, proposer: ProposerId { node: members[0].me(), boot: 1 } };
    let value = Versioned { version: 1, operation: OperationId(1), content: Some(Bytes::from_static(b"content")) };
    let ask = |request| Envelope { partition: PARTITION, epoch, request };
    let accept = Request::Accept { ballot, writes: vec![(key.clone(), Some(value.clone()))] };
    assert_eq!(members[0].disk().handle(ask(accept)).await, Reply::Accept(vec![Ok(())]));
    let mut comparison = registers::RegisterComparison::new(members[0].clone());
    stage
        .until("every member has the entry", async || {
            round(&mut comparison).await;
            for member in &members {
                let reply = member.disk().handle(ask(Request::Read { keys: vec![key.clone()] })).await;
                let Reply::Read(held) = reply else { return false };
                // Under whatever ballot: a node that claims the partition meanwhile reads all of it, and so writes it anew.
                if held[0].value.as_ref() != Some(&value) {
                    return false;
                }
            }
            true
        })
        .await;
    stage.stop().await;
}
