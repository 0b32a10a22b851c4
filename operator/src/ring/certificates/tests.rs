//! When certificates are made anew, and that nobody is left without one that others trust.

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls_pki_types::{ServerName, UnixTime};
use std::sync::Arc;

use super::*;

pub(super) const TERMS: Terms = Terms { authority_s: 30_000, leaf_s: 3_000, settle_s: 100 };

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in the calendar")
}

pub(super) fn names() -> Vec<String> {
    vec!["main-0.main-peers.web.svc".to_owned(), "main-gateway.web.svc".to_owned()]
}

pub(super) fn look(before: Option<&Certificates>, second: i64) -> Certificates {
    let (authority, leaf) = (before.map(|it| &it.authority), before.map(|it| &it.leaf));
    due("main", &names(), authority, leaf, TERMS, at(second)).expect("certificates")
}

/// Whether a node that read `trusts` accepts a node that read `shows`.
pub(super) fn accepts(trusts: &Certificates, shows: &Certificates, second: i64) -> bool {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&trusts.leaf[CA].0) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
    let leaf = CertificateDer::from_pem_slice(&shows.leaf[LEAF].0).expect("PEM");
    let name = ServerName::try_from(names()[0].clone()).expect("a name");
    let now = UnixTime::since_unix_epoch(Duration::from_secs(at(second).as_second().cast_unsigned()));
    rustls::client::danger::ServerCertVerifier::verify_server_cert(&*verifier, &leaf, &[], &name, &[], now).is_ok()
}

#[test]
fn the_same_look_twice_changes_nothing() {
    let first = look(None, 0);
    assert_eq!(look(Some(&first), 1), first);
    assert_eq!(look(Some(&first), 1_900), first);
    assert_eq!((first.generation, first.leaf_until), (1, at(3_000)));
}

#[test]
fn a_leaf_is_made_anew_after_two_thirds_of_its_life_and_when_a_name_is_missing() {
    let first = look(None, 0);
    let second = look(Some(&first), 2_100);
    assert_eq!(second.authority, first.authority);
    assert!(second.leaf[LEAF] != first.leaf[LEAF] && second.leaf_until == at(5_100));
    let more: Vec<String> = names().into_iter().chain(["main-1.main-peers.web.svc".to_owned()]).collect();
    let grown = due("main", &more, Some(&first.authority), Some(&first.leaf), TERMS, at(5)).expect("certificates");
    assert!(grown.leaf[LEAF] != first.leaf[LEAF]);
    assert!(accepts(&first, &grown, 5) && accepts(&grown, &first, 5));
}

/// Every pod reads what was written at some moment of the next [`Terms::settle_s`] seconds: between any two looks that
/// lie so close, each must accept the other.
#[test]
fn whoever_read_at_any_two_moments_of_a_rotation_accepts_the_other() {
    let mut looks = vec![(0, look(None, 0))];
    for second in (30..90_000).step_by(30) {
        let next = look(looks.last().map(|(_, it)| it), second);
        looks.push((second, next));
    }
    for (place, (second, newer)) in looks.iter().enumerate() {
        for (_, older) in looks[..place].iter().rev().take(3) {
            assert!(accepts(newer, older, *second) && accepts(older, newer, *second), "at {second}");
        }
    }
    let last = &looks.last().expect("looks").1;
    assert!(last.generation >= 4, "the authority was made anew {} times", last.generation);
    assert!(!accepts(&looks[0].1, last, 90_000), "an old authority is dropped in the end");
}

#[test]
fn a_lost_authority_comes_back_in_steps_too() {
    let first = look(None, 0);
    let second = due("main", &names(), None, Some(&first.leaf), TERMS, at(10)).expect("certificates");
    assert!(second.authority[CA] != first.authority[CA]);
    assert_eq!(second.leaf[LEAF], first.leaf[LEAF], "nobody trusts the new one yet");
    assert!(accepts(&second, &first, 10));
    let third = look(Some(&second), 200);
    assert!(third.leaf[LEAF] != first.leaf[LEAF] && accepts(&second, &third, 200) && accepts(&third, &second, 200));
}

#[test]
fn what_is_no_certificate_is_named() {
    let mut first = look(None, 0);
    first.authority.insert(CA_KEY.to_owned(), ByteString(b"words".to_vec()));
    let error = due("main", &names(), Some(&first.authority), None, TERMS, at(1)).expect_err("refused");
    assert!(error.to_string().starts_with("ca.key"), "{error}");
}
