//! Whose certificates are handed on when, and that no two nodes stop believing each other meanwhile.

use k8s_openapi::ByteString;

use super::super::tests::{TERMS, accepts, at, look, names};
use super::super::{Authorities, due as of_operator};
use super::*;

/// What an issuer of cert-manager writes that signs with this authority: one of the operator's kind, made for the purpose.
struct Issuer(Authorities);

impl Issuer {
    fn new(name: &str, second: i64) -> Self {
        Self(Authorities::first(name, None, TERMS, at(second)).expect("an authority"))
    }

    fn issues(&self, names: &[String], second: i64) -> Data {
        let Authorities { certificate, key, life, .. } = &self.0;
        let leaf = Leaf::issue(names, certificate, key, *life, TERMS, at(second)).expect("a leaf");
        pack(vec![(CA, certificate.clone()), (LEAF, leaf.certificate), (LEAF_KEY, leaf.key)])
    }
}

fn handed(before: Option<&Certificates>, issued: Option<&Data>, second: i64) -> Handed {
    let (authority, leaf) = (before.map(|it| &it.authority), before.map(|it| &it.leaf));
    due("main", &names(), issued, authority, leaf, TERMS, at(second)).expect("an answer")
}

fn certificates(before: Option<&Certificates>, issued: &Data, second: i64) -> Certificates {
    handed(before, Some(issued), second).certificates.expect("certificates")
}

#[test]
fn nothing_is_shown_before_it_is_issued_and_the_same_look_twice_changes_nothing() {
    let waits = handed(None, None, 0);
    assert!(waits.certificates.is_none() && waits.lack.expect("a word").contains("has not issued Certificate main"));
    let issued = Issuer::new("one", 0).issues(&names(), 0);
    let first = certificates(None, &issued, 10);
    assert_eq!(first.leaf[LEAF], issued[LEAF]);
    assert_eq!(handed(Some(&first), Some(&issued), 500), Handed { certificates: Some(first.clone()), lack: None });
    // The Secret is gone for a moment: what is shown stays.
    let kept = handed(Some(&first), None, 20);
    assert!(kept.lack.is_some() && kept.certificates == Some(first));
}

#[test]
fn a_renewed_certificate_of_the_same_authority_is_shown_at_once() {
    let issuer = Issuer::new("one", 0);
    let first = certificates(None, &issuer.issues(&names(), 0), 0);
    let renewed = issuer.issues(&names(), 2_000);
    let second = certificates(Some(&first), &renewed, 2_000);
    assert_eq!((&second.leaf[LEAF], second.generation), (&renewed[LEAF], 1));
    assert!(accepts(&first, &second, 2_000) && accepts(&second, &first, 2_000));
}

#[test]
fn a_certificate_that_does_not_name_every_node_says_whom_it_lacks() {
    let issued = Issuer::new("one", 0).issues(&names()[1..], 0);
    let lack = handed(None, Some(&issued), 0).lack.expect("a name is missing");
    assert!(lack.contains("does not name main-0.main-peers.web.svc yet"), "{lack}");
}

#[test]
fn an_issuer_that_tells_no_authority_is_refused_by_a_word() {
    let mut issued = Issuer::new("one", 0).issues(&names(), 0);
    issued.insert(CA.to_owned(), ByteString(Vec::new()));
    let error = due("main", &names(), Some(&issued), None, None, TERMS, at(0)).expect_err("refused");
    assert!(matches!(error, Error::Anonymous), "{error}");
}

/// The operator's own authority, then an issuer, then that issuer with another authority, then another one before the ring
/// has even settled, then the operator again.
#[test]
fn whoever_read_at_any_two_moments_of_a_change_of_sources_accepts_the_other() {
    let issuers = [Issuer::new("one", 0), Issuer::new("two", 0), Issuer::new("three", 0)];
    let mut looks = vec![(0, look(None, 0))];
    for second in (10..3_000).step_by(10) {
        let before = &looks.last().expect("a look").1;
        let issuer = match second {
            0..500 | 2_000.. => None,
            500..1_000 => Some(&issuers[0]),
            1_000..1_150 => Some(&issuers[1]),
            _ => Some(&issuers[2]),
        };
        let next = match issuer {
            Some(issuer) => certificates(Some(before), &issuer.issues(&names(), second), second),
            None => {
                let (authority, leaf) = (Some(&before.authority), Some(&before.leaf));
                of_operator("main", &names(), authority, leaf, TERMS, at(second)).expect("certificates")
            }
        };
        looks.push((second, next));
    }
    for (place, (second, newer)) in looks.iter().enumerate() {
        for (_, older) in looks[..place].iter().rev().take(9) {
            assert!(accepts(newer, older, *second) && accepts(older, newer, *second), "at {second}");
        }
    }
    let signer = |second: i64| looks[usize::try_from(second / 10).expect("a place")].1.leaf["issuer.crt"].clone();
    let of = |issuer: &Issuer| ByteString(format!("{}\n", issuer.0.certificate.trim()).into_bytes());
    assert_eq!((signer(900), signer(1_900)), (of(&issuers[0]), of(&issuers[2])), "the source is followed");
    let last = &looks.last().expect("looks").1;
    assert!(last.authority.contains_key("ca.key") && last.leaf["issuer.crt"] == last.authority[CA], "and back");
    assert!(!accepts(last, &looks[190].1, 2_990), "an authority that went is not trusted in the end");
}
