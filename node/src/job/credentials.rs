//! `spec.request.auth`, `cookies` and `credentialOrigins`: what a job says about itself, and to whom.

use std::collections::BTreeSet;

use scrapering_core::job::{Auth, Credentials, NormalizedUrl, Secret, Seed};
use scrapering_crds::job::{AuthSpec, CookieSpec, RequestSpec};

use super::report::{Faults, Place, excerpt};

const ORIGINS_MAX: usize = 32;
const COOKIES_MAX: usize = 50;
const USERNAME_BYTES_MAX: usize = 256;
const PASSWORD_BYTES_MAX: usize = 1_024;
const TOKEN_BYTES_MAX: usize = 4_096;
const COOKIE_VALUE_BYTES_MAX: usize = 4_000;

/// What goes to the job's own origins only; `headers` are those that do.
pub(super) fn credentials(
    written: &RequestSpec,
    headers: Vec<(String, Secret)>,
    seeds: &[Seed],
    at: &Place,
    faults: &mut Faults,
) -> Credentials {
    let auth = written.auth.as_ref().and_then(|auth| {
        if headers.iter().any(|(name, _)| name == "authorization") {
            faults.add(&at.field("auth"), "and a header Authorization are both there; write one of them");
        }
        auth_of(auth, &at.field("auth"), faults)
    });
    let at_cookies = at.field("cookies");
    if written.cookies.secret_ref.is_some() {
        let message = "is read in Kubernetes only; here, write the cookies into request.cookies.start";
        faults.add(&at_cookies.field("secretRef"), message);
    }
    let cookies = cookies(&written.cookies.start, &at_cookies.field("start"), faults);
    let origins = origins(&written.credential_origins, seeds, &at.field("credentialOrigins"), faults);
    Credentials { origins, auth, headers, cookies }
}

fn auth_of(written: &AuthSpec, at: &Place, faults: &mut Faults) -> Option<Auth> {
    let AuthSpec { basic, bearer, secret_ref } = written;
    if [basic.is_some(), bearer.is_some(), secret_ref.is_some()].into_iter().filter(|is_there| *is_there).count() != 1 {
        faults.add(at, "needs exactly one of basic, bearer and secretRef");
        return None;
    }
    if secret_ref.is_some() {
        let message = "is read in Kubernetes only; here, write request.auth.basic or request.auth.bearer";
        faults.add(&at.field("secretRef"), message);
    }
    if let Some(basic) = basic {
        let at = at.field("basic");
        let plain = |text: &str| !text.chars().any(char::is_control);
        let username = &basic.username;
        let is_user = !username.is_empty() && !username.contains(':') && plain(username);
        if !is_user || username.len() > USERNAME_BYTES_MAX {
            let message = format!("must be 1 to {USERNAME_BYTES_MAX} bytes without colons and control characters");
            faults.add(&at.field("username"), message);
        }
        if !plain(&basic.password) || basic.password.len() > PASSWORD_BYTES_MAX {
            let message = format!("must be at most {PASSWORD_BYTES_MAX} bytes without control characters");
            faults.add(&at.field("password"), message);
        }
        return Some(Auth::Basic { username: username.clone(), password: Secret::new(basic.password.clone()) });
    }
    bearer.as_ref().map(|bearer| {
        if !is_token(&bearer.token) {
            let message = format!("must be 1 to {TOKEN_BYTES_MAX} letters, digits and ._~+/- with = at the end only");
            faults.add(&at.field("bearer").field("token"), message);
        }
        Auth::Bearer(Secret::new(bearer.token.clone()))
    })
}

/// `b64token` of RFC 6750, section 2.1.
fn is_token(token: &str) -> bool {
    let text = token.trim_end_matches('=');
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/-".contains(&byte);
    !text.is_empty() && token.len() <= TOKEN_BYTES_MAX && text.bytes().all(inside)
}

fn cookies(written: &[CookieSpec], at: &Place, faults: &mut Faults) -> Vec<(String, Secret)> {
    if written.len() > COOKIES_MAX {
        faults.add(at, format!("has {} entries; at most {COOKIES_MAX} are allowed", written.len()));
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    for (index, cookie) in written.iter().enumerate() {
        let at_name = at.index(index).field("name");
        let is_name = cookie.name.len() <= 64 && http::HeaderName::from_bytes(cookie.name.as_bytes()).is_ok();
        if !is_name {
            faults.add(&at_name, format!("`{}` is not the name of a cookie", excerpt(&cookie.name)));
        } else if !known.insert(cookie.name.as_str()) {
            faults.add(&at_name, format!("`{}` is set twice; write one entry", cookie.name));
        }
        // RFC 6265, section 4.1.1.
        let inside = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        if cookie.value.len() > COOKIE_VALUE_BYTES_MAX || !cookie.value.bytes().all(inside) {
            let message = format!(
                "must be at most {COOKIE_VALUE_BYTES_MAX} printable ASCII characters without spaces, quotes, commas, semicolons and backslashes"
            );
            faults.add(&at.index(index).field("value"), message);
        }
    }
    written.iter().map(|cookie| (cookie.name.clone(), Secret::new(cookie.value.clone()))).collect()
}

fn origins(written: &[String], seeds: &[Seed], at: &Place, faults: &mut Faults) -> BTreeSet<String> {
    if written.len() > ORIGINS_MAX {
        faults.add(at, format!("has {} entries; at most {ORIGINS_MAX} are allowed", written.len()));
    }
    if written.is_empty() {
        return seeds.iter().map(|seed| seed.url.origin()).collect();
    }
    let mut origins = BTreeSet::new();
    for (index, text) in written.iter().enumerate() {
        match NormalizedUrl::parse(text) {
            Ok(url) if url.path_and_query() == "/" && !text.contains(['@', '#', '?']) => {
                origins.insert(url.origin());
            }
            _ => faults.add(
                &at.index(index),
                format!(
                    "`{}` is not an origin such as https://shop.example or http://shop.example:8080",
                    excerpt(text)
                ),
            ),
        }
    }
    origins
}
