//! Watches over registers in memory.

use super::*;
use crate::kv::Precondition;
use crate::kv::memory::{Fault, MemoryRegisters};
use bytes::Bytes;
use scrapering_core::kv::Value;

struct Room {
    registers: MemoryRegisters,
    kv: Kv,
    tenant: Tenant,
}

/// An event in short: what, key, version.
type Short = (&'static str, String, u64);

impl Room {
    fn new() -> Self {
        let registers = MemoryRegisters::default();
        registers.tell(true);
        Self { kv: Kv::new(registers.clone()), registers, tenant: Tenant::default() }
    }

    async fn put(&self, key: &str) {
        let value = Value { content_type: String::new(), content: Bytes::from_static(b"x") };
        let operation = OperationId(rand::random());
        let key = key.parse().expect("key");
        self.kv.put(&self.tenant, &key, &value, Precondition::None, operation).await.expect("put");
    }

    async fn delete(&self, key: &str) {
        let key = key.parse().expect("key");
        self.kv.delete(&self.tenant, &key, None, OperationId(rand::random())).await.expect("delete");
    }

    async fn watch(&self, prefix: &str, last: Option<Mark>) -> Watch {
        self.kv.watch(&self.tenant, Watched::Prefix(prefix.to_owned()), last).await.expect("watch")
    }

    async fn watch_key(&self, key: &str, last: Option<Mark>) -> Watch {
        self.kv.watch(&self.tenant, Watched::Key(key.parse().expect("key")), last).await.expect("watch")
    }
}

fn short(event: &Event) -> Short {
    match event {
        Event::Put(item) => ("put", item.key.clone(), item.version),
        Event::Delete { key, version } => ("delete", key.clone(), version.unwrap_or_default()),
        Event::Reset => ("reset", String::new(), 0),
        Event::Synced => ("synced", String::new(), 0),
    }
}

async fn next(watch: &mut Watch) -> (Short, Mark) {
    let waited = tokio::time::timeout(Duration::from_secs(20), watch.next()).await;
    let (event, mark) = waited.expect("an event comes").expect("the watch goes on");
    (short(&event), mark)
}

/// Everything up to `synced`, and its mark.
async fn beginning(watch: &mut Watch) -> (Vec<Short>, Mark) {
    let mut seen = Vec::new();
    loop {
        let (event, mark) = next(watch).await;
        if event.0 == "synced" {
            return (seen, mark);
        }
        assert_eq!(mark, Mark::Partial);
        seen.push(event);
    }
}

fn puts(keys: &[(&str, u64)]) -> Vec<Short> {
    keys.iter().map(|(key, version)| ("put", (*key).to_owned(), *version)).collect()
}

#[tokio::test]
async fn what_is_there_comes_first_and_then_every_change() {
    let room = Room::new();
    room.put("a/1").await;
    room.put("b").await;
    let mut watch = room.watch("a/", None).await;
    assert_eq!(beginning(&mut watch).await.0, puts(&[("a/1", 1)]));
    room.put("b").await;
    room.put("a/2").await;
    assert_eq!(next(&mut watch).await.0, ("put", "a/2".to_owned(), 1));
    room.put("a/1").await;
    assert_eq!(next(&mut watch).await.0, ("put", "a/1".to_owned(), 2));
    room.delete("a/2").await;
    assert_eq!(next(&mut watch).await.0, ("delete", "a/2".to_owned(), 2));
}

#[tokio::test]
async fn versions_that_follow_quickly_may_collapse_but_the_last_is_told() {
    let room = Room::new();
    let mut watch = room.watch_key("a", None).await;
    beginning(&mut watch).await;
    for _ in 0..50 {
        room.put("a").await;
    }
    let mut last = 0;
    while last < 50 {
        let ((what, _, version), _) = next(&mut watch).await;
        assert!(what == "put" && version > last, "{what} {version} after {last}");
        last = version;
    }
}

#[tokio::test]
async fn a_gap_is_closed_by_reading_everything_again() {
    let room = Room::new();
    room.put("a").await;
    room.put("b").await;
    let mut watch = room.watch("", None).await;
    beginning(&mut watch).await;
    room.registers.tell(false);
    room.put("a").await;
    room.delete("b").await;
    room.put("c").await;
    room.registers.tell(true);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(next(&mut watch).await.0);
    }
    seen.sort_unstable();
    assert_eq!(seen, [("delete", "b".to_owned(), 2), ("put", "a".to_owned(), 2), ("put", "c".to_owned(), 1)]);
}

#[tokio::test]
async fn a_watcher_goes_on_without_repetition_when_nothing_has_changed() {
    let room = Room::new();
    room.put("a").await;
    let mut watch = room.watch("", None).await;
    beginning(&mut watch).await;
    room.put("b").await;
    let (_, mark) = next(&mut watch).await;
    let mark: Mark = mark.to_string().parse().expect("mark");
    let mut again = room.watch("", Some(mark)).await;
    assert_eq!(beginning(&mut again).await, (Vec::new(), mark));
    room.delete("b").await;
    assert_eq!(next(&mut again).await.0.0, "delete");
}

#[tokio::test]
async fn a_watcher_that_has_missed_something_begins_again_and_is_told_so() {
    let room = Room::new();
    room.put("a").await;
    let (_, mark) = beginning(&mut room.watch("", None).await).await;
    let (_, of_key) = beginning(&mut room.watch_key("a", None).await).await;
    room.delete("a").await;
    room.put("b").await;
    let mut expected = vec![("reset", String::new(), 0)];
    expected.extend(puts(&[("b", 1)]));
    for last in [mark, Mark::Partial] {
        assert_eq!(beginning(&mut room.watch("", Some(last)).await).await.0, expected);
    }
    let (seen, _) = beginning(&mut room.watch_key("a", Some(of_key)).await).await;
    assert_eq!(seen, [("delete", "a".to_owned(), 0)]);
}

#[tokio::test]
async fn a_watch_waits_for_a_majority_and_ends_when_the_node_stops() {
    let room = Room::new();
    let mut watch = room.watch("", None).await;
    beginning(&mut watch).await;
    room.put("a").await;
    room.registers.fail_with(Some(Fault::NoMajority));
    let waited = tokio::time::timeout(Duration::from_millis(400), watch.next()).await;
    assert!(waited.is_err(), "nothing is told that could not be read: {waited:?}");
    room.registers.fail_with(None);
    assert_eq!(next(&mut watch).await.0, ("put", "a".to_owned(), 1));
    room.registers.stop();
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn watches_are_bounded() {
    let room = Room::new();
    let mut open = Vec::new();
    loop {
        match room.kv.watch(&room.tenant, Watched::Key("a".parse().expect("key")), None).await {
            Ok(watch) => open.push(watch),
            Err(error) => break assert_eq!(error, KvError::Busy),
        }
    }
    open.pop();
    room.watch_key("a", None).await;
}
