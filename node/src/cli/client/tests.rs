//! The client against a gateway on a socket, and against everything else that may listen there.

use super::events::Events;
use super::kv::{Changed, Content, KvChange};
use super::*;
use crate::auth::Scope;
use crate::crawl::jobs::JobsError;
use crate::crawl::jobs::Phase;
use crate::gateway::tests::serving::Served;
use crate::gateway::tests::{GOOD_JOB, House, RING};
use crate::kv::memory::Fault;
use std::net::TcpListener;

fn url(address: std::net::SocketAddr) -> Url {
    Url::parse(&format!("https://{address}")).expect("URL")
}

fn client_of(served: &Served, gateways: Vec<Url>) -> Client {
    let credentials = Credentials::Issuer(served.house.issuer.clone());
    Client::new(gateways, served.certificate_pem.as_bytes(), credentials)
        .expect("client")
        .patient(Duration::from_secs(5))
}

fn client(served: &Served) -> Client {
    client_of(served, vec![url(served.address)])
}

/// An address at which nobody listens.
fn dead_address() -> Url {
    url(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port"))
}

#[tokio::test]
async fn a_job_is_submitted_read_paused_and_deleted() {
    let served = Served::start();
    let client = client(&served);
    assert!(client.is_up().await.expect("ours"));
    let job = client.submit(GOOD_JOB.as_bytes(), "key").await.expect("submitted");
    let again = client.submit(GOOD_JOB.as_bytes(), "key").await.expect("repeated");
    let id = job.metadata.uid;
    assert_eq!(again.metadata.uid, id);
    assert_eq!(client.job(id).await.expect("job").metadata.name, "books");
    assert_eq!(client.jobs().await.expect("list").items.len(), 1);
    let piece = client.piece(id, "items", "").await.expect("items");
    assert!(piece.lines.ends_with(b"}\n") && !piece.complete && !piece.cursor.is_empty());
    assert_eq!(client.steer(id, "pause").await.expect("paused").status.phase, Phase::Paused);
    assert!(client.piece(id, "skipped", "").await.expect("skipped").complete);
    assert_eq!(client.lookup("books.example").await.expect("lookup").owners, ["ring-0"]);
    assert_eq!(client.ring().await.expect("ring").ring_id, RING.to_string());
    client.delete(id).await.expect("deleted");
    assert!(client.job(id).await.expect_err("gone").is_no_job());
}

fn content(text: &str) -> Content {
    Content { content_type: "text/plain".to_owned(), bytes: text.as_bytes().to_vec() }
}

#[tokio::test]
async fn a_key_is_changed_read_listed_and_watched() {
    let served = Served::start();
    served.house.registers.tell(true);
    let (client, key) = (client(&served), "a b/c".parse().expect("key"));
    let change = async |change: KvChange| client.kv_change(&key, &change).await.expect("answered");
    assert_eq!(change(KvChange::Create(content("1"))).await, Changed::Done(Some(1)));
    assert_eq!(change(KvChange::Create(content("2"))).await, Changed::Conflict(Some(1)));
    assert_eq!(change(KvChange::CompareAndSet(1, content("3"))).await, Changed::Done(Some(2)));
    let got = client.kv_get(&key, false).await.expect("answered").expect("there");
    assert_eq!((got.version, got.content_type.as_str(), got.content.as_slice()), (2, "text/plain", &b"3"[..]));
    assert_eq!(client.kv_list("a ", "").await.expect("list").items[0].key, "a b/c");
    let mut events = client.watch_prefix("a ");
    let name = async |events: &mut Events<'_>| events.next().await.expect("event").name;
    assert_eq!([name(&mut events).await, name(&mut events).await], ["put", "synced"]);
    assert_eq!(change(KvChange::Delete(None)).await, Changed::Done(None));
    assert_eq!(name(&mut events).await, "delete");
    assert!(client.kv_get(&key, true).await.expect("answered").is_none());
}

#[tokio::test]
async fn an_outcome_that_the_ring_does_not_know_is_settled_by_reading() {
    let served = Served::start();
    let (client, key) = (client(&served), "a".parse().expect("key"));
    served.house.registers.fail_with(Some(Fault::DoneUnknown));
    let done = client.kv_change(&key, &KvChange::Put(content("1"))).await.expect("settled");
    assert_eq!(done, Changed::Done(Some(1)));
    served.house.registers.fail_with(Some(Fault::LostUnknown));
    let error = client.kv_change(&key, &KvChange::Put(content("2"))).await.expect_err("nobody knows");
    assert!(matches!(error, ClientError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_lock_is_taken_renewed_and_given_back() {
    let served = Served::start();
    let (client, name) = (client(&served), "nightly".parse().expect("name"));
    let lock = client.acquire(&name, "ada", 30).await.expect("free");
    assert_eq!(client.acquire(&name, "bob", 30).await.expect_err("held").slug(), Some("lock-held"));
    let renewed = client.renew(&name, lock.token).await.expect("held");
    assert!(renewed.token > lock.token);
    assert_eq!(client.lock(&name).await.expect("answered"), Some(renewed.clone()));
    client.release(&name, renewed.token).await.expect("held");
    assert_eq!(client.lock(&name).await.expect("answered"), None);
}

#[tokio::test]
async fn when_one_gateway_is_gone_the_next_is_asked() {
    let served = Served::start();
    let client = client_of(&served, vec![dead_address(), dead_address(), url(served.address)]);
    client.jobs().await.expect("the third answers");
    assert!(client_of(&served, vec![dead_address(), url(served.address)]).is_up().await.expect("the second answers"));
}

#[tokio::test]
async fn a_ring_that_does_not_answer_is_told_with_how_to_start_it() {
    let served = Served::start();
    let client = client_of(&served, vec![dead_address()]).patient(Duration::from_millis(300));
    assert!(!client.is_up().await.expect("nobody is not somebody else"));
    let error = client.jobs().await.expect_err("nobody").to_string();
    assert!(error.contains("Connection refused") && error.contains("scrapering up"), "{error}");
}

#[tokio::test]
async fn too_few_nodes_are_waited_for_until_patience_ends() {
    let served = Served::start();
    served.house.jobs.fail_with(|| JobsError::Unavailable);
    let client = client(&served).patient(Duration::from_millis(300));
    let error = client.jobs().await.expect_err("unavailable");
    assert_eq!(error.to_string(), "too few nodes of the ring answer; try again");
}

#[tokio::test]
async fn a_certificate_that_is_not_the_rings_or_is_expired_is_not_trusted() {
    let (served, other) = (Served::start(), Served::start());
    let stranger = client_of(&served, vec![url(other.address)]);
    for error in [stranger.jobs().await.expect_err("stranger"), stranger.is_up().await.expect_err("stranger")] {
        assert!(error.to_string().contains("was not issued by this ring's authority"), "{error}");
    }
    let expired = Served::start_with(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let error = client(&expired).jobs().await.expect_err("expired").to_string();
    assert!(error.contains("has expired"), "{error}");
    let named = Served::start_with(|params| params.subject_alt_names = vec![]);
    let error = client(&named).jobs().await.expect_err("another name").to_string();
    assert!(error.contains("for another name"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_no_gateway_is_told_apart_from_silence() {
    let served = Served::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = client_of(&served, vec![url(address)]).jobs().await.expect_err("no TLS").to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_told_as_the_rings_own_words() {
    let served = Served::start();
    let with = |token: String| {
        Client::new(vec![url(served.address)], served.certificate_pem.as_bytes(), Credentials::Token(token))
            .expect("client")
    };
    let foreign = House::new().token(&Scope::ALL);
    let error = with(foreign).jobs().await.expect_err("foreign").to_string();
    assert!(
        error.starts_with("the ring refuses the token: ") && error.contains("not signed with a key of its issuer"),
        "{error}"
    );
    let narrow = with(served.house.token(&[Scope::JobsWrite])).jobs().await.expect_err("narrow").to_string();
    assert!(narrow.contains("does not carry the scope jobs:read"), "{narrow}");
}

#[test]
fn a_ca_file_that_holds_no_certificate_is_refused() {
    let issuer = House::new().issuer;
    for text in ["", "not PEM"] {
        let made = Client::new(vec![dead_address()], text.as_bytes(), Credentials::Issuer(issuer.clone()));
        assert!(matches!(made, Err(ClientError::Authority)));
    }
}
