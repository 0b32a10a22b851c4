//! Cookies by RFC 6265: which of a jar go with a request, and what an answer makes of the jar.
//!
//! A jar is of one job and one origin, so that a cookie for a whole domain comes back to the host that set it and to no
//! other. The shard keeps jars as texts that only this file reads.

use cookie_store::{Cookie, CookieStore};
use scrapering_core::job::{NormalizedUrl, RequestOptions};

/// Cookies in one jar (RFC 6265, section 6.1, asks for as many); what comes beyond is not taken.
const COOKIES_MAX: usize = 50;
/// Bytes of one cookie with its attributes, as section 6.1 asks.
const COOKIE_BYTES_MAX: usize = 4_096;
/// Bytes of a jar; what would make it larger is not taken.
const JAR_BYTES_MAX: usize = 32 * 1024;

/// The value of the `Cookie` header of a request for `url`; `None` if no cookie goes with it. `jar`: what the host has
/// set so far, if it has set anything.
pub(super) fn header(jar: Option<&str>, options: &RequestOptions, url: &NormalizedUrl) -> Option<String> {
    let store = open(jar, options, url);
    let pairs: Vec<String> =
        store.get_request_values(url.as_url()).map(|(name, value)| format!("{name}={value}")).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

/// The jar after an answer to a request for `url` with these `Set-Cookie` headers; `None` if it stays as it is.
pub(super) fn absorb(
    jar: Option<&str>,
    options: &RequestOptions,
    url: &NormalizedUrl,
    set: &[String],
) -> Option<String> {
    let mut store = open(jar, options, url);
    let before = write(&store);
    for line in set.iter().filter(|line| line.len() <= COOKIE_BYTES_MAX) {
        // What is no cookie, or not for this host, is passed over, as every browser does.
        let Ok(cookie) = Cookie::parse(line.clone(), url.as_url()).map(Cookie::into_owned) else { continue };
        let mut with_it = store.clone();
        if with_it.insert(cookie, url.as_url()).is_ok()
            && with_it.iter_any().count() <= COOKIES_MAX
            && write(&with_it).len() <= JAR_BYTES_MAX
        {
            store = with_it;
        }
    }
    let after = write(&store);
    (after != before).then_some(after)
}

/// The jar, or what the job begins with at this origin.
fn open(jar: Option<&str>, options: &RequestOptions, url: &NormalizedUrl) -> CookieStore {
    let Some(jar) = jar else { return begin(options, url) };
    let cookies: Vec<Cookie<'static>> = serde_json::from_str(jar).unwrap_or_default();
    CookieStore::from_cookies(cookies.into_iter().map(Ok::<_, std::convert::Infallible>), false).unwrap_or_default()
}

fn begin(options: &RequestOptions, url: &NormalizedUrl) -> CookieStore {
    let mut store = CookieStore::default();
    if options.credentials.are_for(url) {
        for (name, value) in &options.credentials.cookies {
            // Their names and values were checked with the job.
            let _ = store.parse(&format!("{name}={}; Path=/", value.reveal()), url.as_url());
        }
    }
    store
}

fn write(store: &CookieStore) -> String {
    let cookies: Vec<&Cookie<'static>> = store.iter_unexpired().collect();
    serde_json::to_string(&cookies).expect("cookies are texts and times")
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::job::{Credentials, Proxies, Secret, Timeouts};
    use std::time::Duration;

    fn options(cookies: &[(&str, &str)]) -> RequestOptions {
        let cookies = cookies.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
        RequestOptions {
            user_agent: "t".to_owned(),
            headers: Vec::new(),
            credentials: Credentials {
                origins: ["http://shop.test:80".to_owned()].into(),
                cookies: cookies.collect(),
                ..Credentials::default()
            },
            takes_cookies: true,
            proxies: Proxies::default(),
            timeouts: Timeouts {
                connect: Duration::from_secs(1),
                first_byte: Duration::from_secs(1),
                total: Duration::from_secs(1),
            },
            max_redirects: 0,
            redirects_leave_scope: false,
        }
    }

    fn url(text: &str) -> NormalizedUrl {
        NormalizedUrl::parse(text).expect("a URL")
    }

    fn after(jar: Option<&str>, options: &RequestOptions, set: &[&str]) -> Option<String> {
        let set: Vec<String> = set.iter().map(|line| (*line).to_owned()).collect();
        absorb(jar, options, &url("http://shop.test/a/b"), &set)
    }

    #[test]
    fn what_a_host_sets_comes_back_where_its_attributes_say() {
        let options = options(&[]);
        let set = ["sid=1; Path=/; HttpOnly", "deep=2; Path=/a", "safe=3; Secure; Path=/", "old=4; Max-Age=0"];
        let jar = after(None, &options, &set).expect("a jar");
        for (page, expected) in [
            ("http://shop.test/", Some("sid=1")),
            ("http://shop.test/a/c", Some("deep=2; sid=1")),
            ("https://shop.test/x", Some("safe=3; sid=1")),
        ] {
            let mut pairs: Vec<String> = header(Some(&jar), &options, &url(page))
                .map(|header| header.split("; ").map(str::to_owned).collect())
                .unwrap_or_default();
            pairs.sort();
            assert_eq!(pairs.join("; "), expected.unwrap_or_default(), "{page}");
        }
        assert_eq!(after(Some(&jar), &options, &["sid=1; Path=/; HttpOnly"]), None, "nothing has changed");
        let gone = after(Some(&jar), &options, &["sid=x; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(header(gone.as_deref(), &options, &url("http://shop.test/")), None);
    }

    #[test]
    fn a_cookie_for_another_host_is_not_taken() {
        for line in ["a=1; Domain=other.test", "a=1; Domain=deep.shop.test", "nonsense", "=; ;"] {
            assert_eq!(after(None, &options(&[]), &[line]), None, "{line}");
        }
    }

    #[test]
    fn a_job_begins_with_its_own_cookies_at_its_own_origins_and_a_host_may_change_them() {
        let options = options(&[("sid", "start"), ("b", "2")]);
        assert_eq!(header(None, &options, &url("http://other.test/")), None);
        let mut sent: Vec<String> = header(None, &options, &url("http://shop.test/x"))
            .expect("cookies")
            .split("; ")
            .map(str::to_owned)
            .collect();
        sent.sort();
        assert_eq!(sent, ["b=2", "sid=start"]);
        let jar = after(None, &options, &["sid=gone; Path=/; Max-Age=0"]).expect("a jar");
        assert_eq!(header(Some(&jar), &options, &url("http://shop.test/x")).as_deref(), Some("b=2"));
    }

    #[test]
    fn a_jar_has_bounds() {
        let many: Vec<String> = (0..200).map(|number| format!("c{number}=1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let options = options(&[]);
        let jar = after(None, &options, &many).expect("a jar");
        let sent = header(Some(&jar), &options, &url("http://shop.test/a/b")).expect("cookies");
        assert_eq!(sent.split("; ").count(), COOKIES_MAX);
        let big: Vec<String> = (0..30).map(|number| format!("c{number}={}", "x".repeat(3_000))).collect();
        let big: Vec<&str> = big.iter().map(String::as_str).collect();
        assert!(after(None, &options, &big).expect("a jar").len() <= JAR_BYTES_MAX);
        assert_eq!(after(None, &options, &[&format!("c={}", "x".repeat(5_000))]), None);
    }
}
