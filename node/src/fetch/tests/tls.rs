//! TLS: a certificate of an authority that the operator trusts, and one of nobody's.

use axum_server::tls_rustls::RustlsConfig;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

#[tokio::test]
async fn only_certificates_of_trusted_authorities_are_accepted() {
    let trusting_nobody = fetcher();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let tls = RustlsConfig::from_der(vec![cert.der().to_vec()], signing_key.serialize_der()).await.unwrap();
    let handle: axum_server::Handle<std::net::SocketAddr> = axum_server::Handle::new();
    let app = axum::Router::new().fallback(|| async { axum::response::Html("<p>safe") });
    let serving = tokio::spawn(
        axum_server::bind_rustls("127.0.0.1:0".parse().unwrap(), tls)
            .handle(handle.clone())
            .serve(app.into_make_service()),
    );
    let address = handle.listening().await.unwrap();
    let url = url(&format!("https://{address}/"));

    let error = fetch_with(&trusting_nobody, &options(), &url).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_)), "{error:?}");
    assert!(!error.is_retryable());

    let config = FetcherConfig { extra_roots: vec![cert.der().clone()], ..config() };
    let fetched = fetch_with(&Fetcher::new(&config).unwrap(), &options(), &url).await.unwrap();
    assert_eq!(&fetched.body[..], b"<p>safe");
    serving.abort();
}

#[test]
fn a_root_that_is_no_certificate_is_named() {
    let config = FetcherConfig { extra_roots: vec![CertificateDer::from(vec![1, 2, 3])], ..config() };
    let error = Fetcher::new(&config).unwrap_err();
    assert!(matches!(error, FetcherError::Root { index: 0, .. } | FetcherError::Client(_)), "{error}");
}
