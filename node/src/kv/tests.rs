//! The store on registers in memory.

use super::memory::{Fault, MemoryRegisters};
use super::*;
use bytes::Bytes;

fn kv() -> (Kv, MemoryRegisters) {
    let registers = MemoryRegisters::default();
    (Kv::new(registers.clone()), registers)
}

fn key(text: &str) -> UserKey {
    text.parse().expect("key")
}

fn value(content: &'static str) -> Value {
    Value { content_type: "text/plain".to_owned(), content: Bytes::from_static(content.as_bytes()) }
}

async fn put(kv: &Kv, text: &str, content: &'static str, precondition: Precondition) -> Result<Written, KvError> {
    let operation = OperationId(rand::random());
    kv.put(&Tenant::default(), &key(text), &value(content), precondition, operation).await
}

#[tokio::test]
async fn a_put_a_compare_and_set_and_a_delete_count_the_versions() {
    let (kv, _) = kv();
    let tenant = Tenant::default();
    assert_eq!(put(&kv, "a", "1", Precondition::Absent).await, Ok(Written { version: 1, created: true }));
    assert_eq!(put(&kv, "a", "2", Precondition::Absent).await, Err(KvError::Precondition { current: Some(1) }));
    assert_eq!(put(&kv, "a", "3", Precondition::None).await, Ok(Written { version: 2, created: false }));
    assert_eq!(put(&kv, "a", "4", Precondition::Version(1)).await, Err(KvError::Precondition { current: Some(2) }));
    assert_eq!(put(&kv, "a", "5", Precondition::Version(2)).await, Ok(Written { version: 3, created: false }));
    let stored = kv.get(&tenant, &key("a"), Consistency::Strong).await.expect("get").expect("there");
    assert_eq!((stored.version, stored.value), (3, Some(value("5"))));
    let (tenant, a) = (&tenant, &key("a"));
    assert_eq!(delete_of(&kv, tenant, a, Some(2)).await, Err(KvError::Precondition { current: Some(3) }));
    assert_eq!(delete_of(&kv, tenant, a, Some(3)).await, Ok(()));
    assert_eq!(delete_of(&kv, tenant, a, None).await, Ok(()), "there is nothing to delete");
    let removed = kv.get(tenant, a, Consistency::Strong).await.expect("get").expect("a tombstone");
    assert_eq!((removed.version, removed.value), (4, None));
    assert_eq!(put(&kv, "a", "6", Precondition::Version(4)).await, Err(KvError::Precondition { current: None }));
}

async fn delete_of(kv: &Kv, tenant: &Tenant, key: &UserKey, version: Option<u64>) -> Result<(), KvError> {
    kv.delete(tenant, key, version, OperationId(rand::random())).await
}

#[tokio::test]
async fn one_tenant_does_not_see_the_keys_of_another() {
    let (kv, _) = kv();
    let other: Tenant = "other".parse().expect("tenant");
    put(&kv, "a", "1", Precondition::None).await.expect("put");
    assert_eq!(kv.get(&other, &key("a"), Consistency::Strong).await, Ok(None));
    assert!(kv.list(&other, "", None, 10).await.expect("list").items.is_empty());
}

#[tokio::test]
async fn the_same_operation_is_not_done_twice() {
    let (kv, registers) = kv();
    let (tenant, key, value) = (Tenant::default(), key("a"), value("1"));
    registers.fail_with(Some(Fault::DoneUnknown));
    let again = || kv.put(&tenant, &key, &value, Precondition::Absent, OperationId(7));
    assert_eq!(again().await, Err(KvError::Unknown));
    registers.fail_with(None);
    assert_eq!(again().await, Ok(Written { version: 1, created: true }));
    assert_eq!(again().await, Ok(Written { version: 1, created: true }));
}

#[tokio::test]
async fn without_a_majority_only_a_copy_can_be_read() {
    let (kv, registers) = kv();
    put(&kv, "a", "1", Precondition::None).await.expect("put");
    registers.fail_with(Some(Fault::NoMajority));
    let tenant = Tenant::default();
    assert_eq!(put(&kv, "a", "2", Precondition::None).await, Err(KvError::Unavailable));
    assert_eq!(kv.get(&tenant, &key("a"), Consistency::Strong).await, Err(KvError::Unavailable));
    assert_eq!(kv.list(&tenant, "", None, 10).await, Err(KvError::Unavailable));
    let copy = kv.get(&tenant, &key("a"), Consistency::Any).await.expect("copy").expect("there");
    assert_eq!(copy.value, Some(value("1")));
}

#[tokio::test]
async fn a_listing_is_merged_in_order_piece_by_piece() {
    let (kv, _) = kv();
    let names: Vec<String> = (0..2000).map(|number| format!("list/{number:04}")).collect();
    for name in &names {
        put(&kv, name, "content", Precondition::None).await.expect("put");
    }
    for other in ["lis", "list", "list0", "m"] {
        put(&kv, other, "x", Precondition::None).await.expect("put");
    }
    delete_of(&kv, &Tenant::default(), &key("list/0003"), None).await.expect("delete");
    for limit in [7, 500, 1000] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let piece = kv.list(&Tenant::default(), "list/", cursor.as_ref(), limit).await.expect("list");
            assert!(piece.items.len() == limit || piece.next.is_none());
            seen.extend(piece.items.into_iter().map(|item| item.key));
            let Some(next) = piece.next else { break };
            cursor = Some(next.to_string().parse::<Cursor>().expect("cursor"));
        }
        let expected = names.iter().filter(|name| *name != "list/0003");
        assert!(seen.iter().eq(expected), "limit {limit}: {} keys", seen.len());
    }
    let first = kv.list(&Tenant::default(), "list/0000", None, 10).await.expect("list").items.remove(0);
    assert_eq!((first.version, first.bytes, first.content_type.as_str()), (1, 7, "text/plain"));
}
