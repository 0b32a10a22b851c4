//! Handshakes that must succeed, and every one that must not, over loopback sockets.

use super::live::LiveTls;
use super::wire::{accept, dial};
use super::*;
use crate::identity::authority::{Authority, leaf_key};
use crate::storage::files::Readers;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::version::TLS12;
use std::io;
use std::os::unix::fs::PermissionsExt;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// A folder with an authority, in which certificates are made.
struct Ring {
    folder: tempfile::TempDir,
    ca: PathBuf,
    authority: (String, String),
}

impl Ring {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (certificate, key) = Authority::generate("test", Timestamp::now()).expect("authority");
        let ca = folder.path().join("ca.pem");
        files::write(&ca, certificate.as_bytes(), Readers::Everybody).expect("write");
        Self { folder, ca, authority: (certificate, key.to_string()) }
    }

    fn write(&self, file: &str, certificate: &str, key: &KeyPair) -> Pair {
        let [certificate_path, key_path] = ["pem", "key"].map(|kind| self.folder.path().join(format!("{file}.{kind}")));
        files::write(&certificate_path, certificate.as_bytes(), Readers::Everybody).expect("write");
        files::write(&key_path, key.serialize_pem().as_bytes(), Readers::Owner).expect("write");
        Pair { certificate: certificate_path, key: key_path }
    }

    /// As a node gets it, issued at `at`.
    fn issued(&self, name: &str, at: Timestamp) -> Pair {
        let (certificate, key) = &self.authority;
        let authority = Authority::load(certificate, key, at).expect("loaded");
        let key = leaf_key().expect("key");
        self.write(name, &authority.issue(name, &key, at).expect("issued"), &key)
    }

    fn node(&self, name: &str) -> Pair {
        self.issued(name, Timestamp::now())
    }

    /// Signed by the ring's authority, otherwise anything.
    fn signed(&self, file: &str, params: &CertificateParams) -> Pair {
        let (certificate, key) = &self.authority;
        let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key).expect("key")).expect("authority");
        let key = leaf_key().expect("key");
        self.write(file, &params.signed_by(&key, &issuer).expect("signed").pem(), &key)
    }

    fn server(&self, pair: &Pair) -> Arc<ServerConfig> {
        ring_server(pair, &self.ca, Timestamp::now()).expect("server")
    }

    fn client(&self, pair: &Pair) -> Arc<ClientConfig> {
        ring_client(pair, &self.ca, Timestamp::now()).expect("client")
    }
}

fn params(names: &[&str], usages: &[ExtendedKeyUsagePurpose]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages = usages.to_vec();
    params
}

const BOTH: [ExtendedKeyUsagePurpose; 2] = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

fn days_ago(days: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() - days * 86_400).expect("in the calendar")
}

/// What the server knows of the client, and what the client says of the server.
async fn shake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &str,
) -> (io::Result<Vec<String>>, io::Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = listener.local_addr().expect("address").to_string();
    let serving = async {
        let (stream, _) = listener.accept().await?;
        let shaken = tokio_rustls::TlsAcceptor::from(server).accept(stream).await?;
        Ok(peer_names(shaken.get_ref().1.peer_certificates().unwrap_or_default()))
    };
    let dialling = async { dial(&address, name, client).await.map(drop) };
    tokio::join!(serving, dialling)
}

#[tokio::test]
async fn two_nodes_of_a_ring_know_each_other_by_name() {
    let ring = Ring::new();
    let (server, client) = (ring.server(&ring.node("ring-0")), ring.client(&ring.node("ring-1")));
    let (seen, dialled) = shake(server, client, "ring-0").await;
    dialled.expect("the server is ring-0");
    assert_eq!(seen.expect("the client is of the ring"), ["ring-1"]);
}

#[tokio::test]
async fn the_server_refuses_no_certificate_and_certificates_of_others_ended_or_for_servers_only() {
    let [ring, other] = [Ring::new(), Ring::new()];
    let server = ring.server(&ring.node("ring-0"));
    let from = |pair: &Pair, now| ring_client(pair, &ring.ca, now).expect("client");
    let nobody = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(authorities(&ring.ca).expect("roots"))
        .with_no_client_auth();
    let cases = [
        ("no certificate", Arc::new(nobody)),
        ("another ring's authority", from(&other.node("ring-1"), Timestamp::now())),
        ("ended", from(&ring.issued("ring-1", days_ago(91)), days_ago(10))),
        ("for servers only", from(&ring.signed("server-only", &params(&["ring-1"], &BOTH[..1])), Timestamp::now())),
    ];
    for (case, client) in cases {
        let (seen, _) = shake(Arc::clone(&server), client, "ring-0").await;
        seen.expect_err(case);
    }
}

#[tokio::test]
async fn the_client_refuses_servers_of_others_ended_or_under_any_other_name() {
    let [ring, other] = [Ring::new(), Ring::new()];
    let client = ring.client(&ring.node("ring-1"));
    let as_of = |pair: &Pair, now| ring_server(pair, &ring.ca, now).expect("server");
    let signed = |file: &str, params: &CertificateParams| as_of(&ring.signed(file, params), Timestamp::now());
    let mut common_name = params(&[], &BOTH);
    common_name.distinguished_name.push(DnType::CommonName, "ring-0.ring");
    let cases = [
        ("another ring's authority", as_of(&other.node("ring-0.ring"), Timestamp::now())),
        ("ended", as_of(&ring.issued("ring-0.ring", days_ago(91)), days_ago(10))),
        ("another name", as_of(&ring.node("ring-2.ring"), Timestamp::now())),
        ("a pattern", signed("pattern", &params(&["*.ring"], &BOTH))),
        ("a common name", signed("common", &common_name)),
        ("for clients only", signed("client-only", &params(&["ring-0.ring"], &BOTH[1..]))),
    ];
    for (case, server) in cases {
        let (_, dialled) = shake(server, Arc::clone(&client), "ring-0.ring").await;
        let error = dialled.expect_err(case);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{case}: {error}");
    }
}

#[tokio::test]
async fn the_name_every_certificate_holds_proves_nobody() {
    let ring = Ring::new();
    let (_, dialled) = shake(ring.server(&ring.node("ring-0")), ring.client(&ring.node("ring-1")), "localhost").await;
    dialled.expect_err("localhost is no node");
    let (_, dialled) = shake(ring.server(&ring.node("ring-0")), ring.client(&ring.node("ring-1")), "127.0.0.1").await;
    dialled.expect_err("an address is no node");
}

#[tokio::test]
async fn tls_1_2_is_refused_between_nodes() {
    let ring = Ring::new();
    let Loaded { chain, key } = ring.node("ring-1").load(Timestamp::now()).expect("pair");
    let old = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .expect("versions")
        .with_root_certificates(authorities(&ring.ca).expect("roots"))
        .with_client_auth_cert(chain, key)
        .expect("pair");
    let (seen, _) = shake(ring.server(&ring.node("ring-0")), Arc::new(old), "ring-0").await;
    seen.expect_err("too old");
}

#[test]
fn patterns_and_common_names_name_nobody() {
    let ring = Ring::new();
    let mut mixed = params(&["*.ring", "Ring-3", "ring-4", "localhost"], &BOTH);
    mixed.distinguished_name.push(DnType::CommonName, "ring-5");
    let chain = certificates(&ring.signed("mixed", &mixed).certificate).expect("chain");
    assert_eq!(peer_names(&chain), ["ring-4"]);
    assert_eq!(peer_names(&[]), [""; 0]);
    assert_eq!(peer_names(&[CertificateDer::from(&b"rubbish"[..])]), [""; 0]);
}

#[test]
fn files_that_cannot_serve_are_refused_with_what_to_do() {
    let ring = Ring::new();
    let good = ring.node("ring-0");
    let refused = |pair: &Pair| ring_server(pair, &ring.ca, Timestamp::now()).expect_err("refused");

    let ended = refused(&ring.issued("ended", days_ago(91)));
    assert!(matches!(ended, TlsError::Expired { .. }) && ended.to_string().contains("put a new one there"), "{ended}");
    let early = ring_client(&good, &ring.ca, days_ago(1)).expect_err("refused");
    assert!(matches!(early, TlsError::NotYetValid { .. }) && early.to_string().contains("clock"), "{early}");
    assert!(matches!(refused(&Pair { key: ring.node("ring-1").key, ..good.clone() }), TlsError::Pair { .. }));
    assert!(matches!(
        refused(&Pair { key: good.certificate.clone(), ..good.clone() }),
        TlsError::File(FileError::TooOpen { .. })
    ));
    assert!(matches!(
        refused(&Pair { certificate: good.key.clone(), ..good.clone() }),
        TlsError::Pem { wanted: "certificate", .. }
    ));
    let absent = ring.folder.path().join("absent.pem");
    assert!(matches!(refused(&Pair { certificate: absent, ..good.clone() }), TlsError::Absent { .. }));
    let no_authority = ring_server(&good, &good.key, Timestamp::now()).expect_err("refused");
    assert!(matches!(no_authority, TlsError::Pem { .. }));
}

#[tokio::test]
async fn the_gateway_speaks_both_versions_of_http_to_clients_without_a_certificate() {
    let ring = Ring::new();
    let server = gateway(&ring.node("ring-0"), Timestamp::now()).expect("gateway");
    for (wanted, name) in [(&b"h2"[..], "localhost"), (b"http/1.1", "127.0.0.1"), (b"h2", "::1")] {
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(authorities(&ring.ca).expect("roots"))
            .with_no_client_auth();
        client.alpn_protocols = vec![wanted.to_vec()];
        let (ours, theirs) = tokio::io::duplex(16 << 10);
        let name = rustls_pki_types::ServerName::try_from(name).expect("name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let (_, dialled) = tokio::join!(
            tokio_rustls::TlsAcceptor::from(Arc::clone(&server)).accept(theirs),
            connector.connect(name, ours)
        );
        assert_eq!(dialled.expect("shaken").get_ref().1.alpn_protocol(), Some(wanted));
    }
}

fn only_ring_1(request: Request<()>) -> Result<Request<()>, Status> {
    let certificates = request.peer_certs().ok_or_else(|| Status::unauthenticated("no certificate"))?;
    let named = peer_names(&certificates).iter().any(|name| name == "ring-1");
    if named { Ok(request) } else { Err(Status::permission_denied("not ring-1")) }
}

async fn health(address: String, client: Arc<ClientConfig>) -> Result<(), Code> {
    let connector = tower::service_fn(move |_: Uri| {
        let (address, client) = (address.clone(), Arc::clone(&client));
        async move { dial(&address, "ring-0", client).await.map(TokioIo::new) }
    });
    let channel: Channel = Endpoint::from_static("http://ring-0").connect_with_connector_lazy(connector);
    let checked = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;
    checked.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn tonic_carries_the_proven_name_to_every_call_and_strangers_reach_not_even_health() {
    let [ring, other] = [Ring::new(), Ring::new()];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = listener.local_addr().expect("address").to_string();
    let incoming = accept(listener, ring.server(&ring.node("ring-0")));
    let (_reporter, service) = tonic_health::server::health_reporter();
    let service = tonic::service::interceptor::InterceptedService::new(service, only_ring_1);
    let serving = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));

    assert_eq!(health(address.clone(), ring.client(&ring.node("ring-1"))).await, Ok(()));
    assert_eq!(health(address.clone(), ring.client(&ring.node("ring-2"))).await, Err(Code::PermissionDenied));
    let stranger = ring_client(&other.node("ring-1"), &ring.ca, Timestamp::now()).expect("client");
    // In TLS 1.3 the client is done before the server refuses it: tonic reports a broken connection.
    let refused = health(address, stranger).await;
    assert!(matches!(refused, Err(Code::Unavailable | Code::Unknown)), "{refused:?}");
    assert!(!serving.is_finished());
    serving.abort();
}

#[tokio::test]
async fn a_peer_that_says_nothing_keeps_nobody_waiting() {
    let ring = Ring::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = listener.local_addr().expect("address").to_string();
    let mut incoming = accept(listener, ring.server(&ring.node("ring-0")));
    let _silent = tokio::net::TcpStream::connect(&address).await.expect("connected");
    let client = ring.client(&ring.node("ring-1"));
    let (dialled, accepted) = tokio::join!(dial(&address, "ring-0", client), incoming.next());
    dialled.expect("dialled");
    accepted.expect("a connection").expect("shaken");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_by_the_next_handshake_and_one_that_is_no_good_is_not() {
    let ring = Ring::new();
    let (pair, now) = (ring.node("ring-0"), Timestamp::now());
    let (live, mut reloader) = LiveTls::load(&pair, &ring.ca, now).expect("good files");
    let before = live.of_ring.now();
    assert!(!reloader.look(now).expect("the same files"));
    ring.node("ring-0");
    assert!(reloader.look(now).expect("new files"));
    let renewed = live.of_ring.now();
    assert!(!Arc::ptr_eq(&before, &renewed));
    let (_, dialled) = shake(Arc::clone(&renewed), ring.client(&ring.node("ring-1")), "ring-0").await;
    dialled.expect("the new certificate is the ring's");
    files::write(&pair.certificate, b"half a certific", Readers::Everybody).expect("write");
    assert!(matches!(reloader.look(now), Err(TlsError::Pem { .. })));
    assert!(Arc::ptr_eq(&renewed, &live.of_ring.now()) && !reloader.look(now).expect("told once"));
}

#[tokio::test]
async fn a_new_certificate_whose_key_others_could_read_is_used_as_soon_as_they_cannot() {
    let ring = Ring::new();
    let (pair, now) = (ring.node("ring-0"), Timestamp::now());
    let (live, mut reloader) = LiveTls::load(&pair, &ring.ca, now).expect("good files");
    let before = live.of_gateway.now();
    ring.node("ring-0");
    let let_read = |mode| std::fs::set_permissions(&pair.key, std::fs::Permissions::from_mode(mode)).expect("mode");
    let_read(0o644);
    let error = reloader.look(now).expect_err("others can read the key");
    assert!(crate::causes::told(&error).contains("chmod 600"), "{error:?}");
    assert!(!reloader.look(now).expect("told once") && Arc::ptr_eq(&before, &live.of_gateway.now()));
    let_read(0o600);
    assert!(reloader.look(now).expect("good files") && !Arc::ptr_eq(&before, &live.of_gateway.now()));
    assert!(!reloader.look(now).expect("the same files"));
}
