//! The gateway on a socket: TLS, both versions of HTTP, and its stop.

use super::House;
use crate::auth::Scope;
use crate::gateway::{ServeError, serve};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Client, ClientBuilder, Version};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How a client differs from the usual one.
type Shape = fn(ClientBuilder) -> ClientBuilder;

/// A gateway on a free port of loopback, with a certificate of its own.
pub(crate) struct Served {
    pub(crate) house: House,
    pub(crate) address: SocketAddr,
    pub(crate) certificate_pem: String,
    pub(crate) stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With a certificate made otherwise.
    pub(crate) fn start_with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
        change(&mut params);
        let key_pair = KeyPair::generate().expect("key");
        let made = params.self_signed(&key_pair).expect("certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_pair.serialize_der()));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.der().clone()], key)
            .expect("pair");
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = listener.local_addr().expect("address");
        let (house, stop) = (House::new(), CancellationToken::new());
        let task = tokio::spawn(serve(listener, house.state.clone(), Arc::new(tls).into(), stop.clone()));
        Self { house, address, certificate_pem: made.pem(), stop, task }
    }

    fn client(&self, shape: Shape) -> Client {
        let certificate = reqwest::Certificate::from_pem(self.certificate_pem.as_bytes()).expect("certificate");
        let builder = Client::builder().no_proxy().tls_certs_only([certificate]);
        shape(builder).build().expect("client")
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

#[tokio::test]
async fn both_versions_of_http_are_served_and_a_stop_ends_the_listening() {
    let served = Served::start();
    let cases: [(Shape, Version); 2] =
        [(|builder| builder, Version::HTTP_2), (ClientBuilder::http1_only, Version::HTTP_11)];
    let mut clients = Vec::new();
    for (shape, version) in cases {
        let client = served.client(shape);
        let token = served.house.token(&[Scope::JobsRead]);
        let answer = client.get(served.url("/v1/jobs")).bearer_auth(token).send().await.expect("answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        clients.push(client);
    }
    served.stop.cancel();
    served.task.await.expect("no panic").expect("a clean end, although the clients keep their connections");
    TcpListener::bind(served.address).expect("the port is free again");
}

#[tokio::test]
async fn plain_http_and_headers_without_end_get_no_answer() {
    let served = Served::start();
    let plain = served.client(|builder| builder).get(format!("http://{}/healthz", served.address)).send().await;
    assert!(plain.is_err(), "no TLS, no answer");
    let client = served.client(ClientBuilder::http1_only);
    let long = "x".repeat(64 * 1024);
    let answer = client.get(served.url("/healthz")).header("x-long", long).send().await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status().as_u16() == 431));
    let answer = client.get(served.url("/healthz")).send().await.expect("others are served");
    assert_eq!(answer.text().await.expect("text"), "ok\n");
    served.stop.cancel();
}
