//! Where each Secret of a job goes, and which are not read.

use k8s_openapi::ByteString;
use serde_json::json;

use super::*;

/// A job with a reference of every kind.
fn job() -> ScrapeJob {
    serde_json::from_value(json!({
        "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "metadata": { "name": "docs" },
        "spec": {
            "seeds": [{ "url": "https://example.org/" }],
            "request": {
                "headers": [{ "name": "accept", "value": "text/html" }],
                "headersSecretRef": { "name": "headers" },
                "auth": { "secretRef": { "name": "user" } },
                "cookies": { "secretRef": { "name": "jar" } },
                "proxy": { "urls": ["http://first.example:3128"], "secretRef": { "name": "ways" } },
            },
            "webhooks": [
                { "url": "https://a.example/" },
                { "url": "https://b.example/", "secretRef": { "name": "hook" } },
            ],
            "outputs": [
                { "ring": { "storeBody": "all" } },
                { "s3": { "bucket": "out", "credentialsRef": { "name": "store" } } },
                { "gcs": { "bucket": "out", "credentialsRef": { "name": "other-store" } } },
            ],
        },
    }))
    .expect("a job")
}

const KINDS: [Kind; 7] =
    [Kind::Headers, Kind::Auth, Kind::Cookies, Kind::Proxies, Kind::Webhook(1), Kind::Output(1), Kind::Output(2)];

fn secret(type_: &str, entries: &[(&str, &[u8])]) -> Option<Secret> {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect();
    Some(Secret { type_: Some(type_.to_owned()), data: Some(data), ..Secret::default() })
}

/// The job with what stands in a Secret of the right type.
fn filled(kind: Kind, found: &[(&str, &[u8])]) -> Result<ScrapeJob, Error> {
    let mut job = job();
    let read = entries(kind, "keys", secret(kind.secret_type(), found))?;
    fill(&mut job, kind, "keys", read).map(|()| job)
}

#[test]
fn every_reference_is_found_with_its_place() {
    let names = ["headers", "user", "jar", "ways", "hook", "store", "other-store"].map(str::to_owned);
    assert_eq!(references(&job()), KINDS.into_iter().zip(names).collect::<Vec<_>>());
    let mut bare = job();
    strip(&mut bare);
    assert_eq!(references(&bare), []);
    assert_eq!((bare.spec.webhooks.len(), bare.spec.outputs.len()), (1, 1));
}

#[test]
fn what_stands_in_a_secret_takes_the_place_of_the_reference_without_the_line_end_of_a_file() {
    let request = |kind, found: &[(&str, &[u8])]| filled(kind, found).expect("a job").spec.request;
    let headers = request(Kind::Headers, &[("authorization", b"Bearer x\n")]);
    let header = HeaderSpec { name: "authorization".to_owned(), value: "Bearer x".to_owned(), secret: true };
    assert_eq!((headers.headers[1].clone(), headers.headers_secret_ref), (header, None));
    let user = request(Kind::Auth, &[("username", b"u"), ("password", b"p\r\n")]).auth.expect("a user");
    assert_eq!((user.basic.expect("a user").password.as_str(), user.secret_ref), ("p", None));
    let token = request(Kind::Auth, &[("token", b"t")]).auth.expect("a token");
    assert_eq!(token.bearer.expect("a token").token, "t");
    let cookies = request(Kind::Cookies, &[("sid", b"1")]).cookies;
    assert_eq!(cookies.start, [CookieSpec { name: "sid".to_owned(), value: "1".to_owned() }]);
    let proxy = request(Kind::Proxies, &[("a", b"http://second.example:3128")]).proxy.expect("proxies");
    assert_eq!(proxy.urls, ["http://first.example:3128", "http://second.example:3128"]);
    let hook = filled(Kind::Webhook(1), &[("secret", b"a key of sixteen\n")]).expect("a job").spec.webhooks[1].clone();
    assert_eq!((hook.secret.as_deref(), hook.secret_ref), (Some("a key of sixteen"), None));
    let both: [(&str, &[u8]); 2] = [("accessKeyId", b"id"), ("secretAccessKey", b"s")];
    let s3 = filled(Kind::Output(1), &both).expect("a job").spec.outputs[1].s3.clone().expect("the output");
    assert_eq!((s3.access_key_id.as_deref(), s3.secret_access_key.as_deref()), (Some("id"), Some("s")));
    let gcs = filled(Kind::Output(2), &[("serviceAccountKey", b"{}")]).expect("a job").spec.outputs[2].gcs.clone();
    assert_eq!(gcs.expect("the output").service_account_key.as_deref(), Some("{}"));
}

#[test]
fn a_secret_without_what_its_use_needs_is_refused_by_the_name_of_the_key() {
    for (kind, found, says) in [
        (
            Kind::Auth,
            &[("token", b"t" as &[u8]), ("password", b"p")][..],
            "keys username and password, or the key token",
        ),
        (Kind::Auth, &[], "keys username and password, or the key token"),
        (Kind::Webhook(1), &[("token", b"t")], "key secret"),
        (Kind::Output(1), &[("accessKeyId", b"id")], "key secretAccessKey"),
        (Kind::Output(2), &[("accessKeyId", b"id")], "key serviceAccountKey"),
    ] {
        let error = filled(kind, found).expect_err("not enough");
        assert_eq!(error.to_string(), format!("{kind}: Secret keys must have the {says}"));
        assert_eq!(error.reason(), "SecretInvalid");
    }
}

#[test]
fn a_secret_for_something_else_is_not_read() {
    for kind in KINDS {
        let read = |secret| entries(kind, "keys", secret);
        assert!(matches!(read(secret("Opaque", &[])), Err(Error::Type { .. })));
        assert!(matches!(read(None), Err(Error::Missing { .. })));
        let garbled = read(secret(kind.secret_type(), &[("a", &[0xff])]));
        assert!(matches!(garbled, Err(Error::Value { key, .. }) if key == "a"));
    }
}
