//! `spec.request.proxy`: proxies that a job may go through.

use scrapering_core::job::{Proxies, Proxy, ProxyKind, Rotation, Secret};
use scrapering_crds::job::{ProxySpec, RotationSpec};
use url::Url;

use super::report::{Faults, Place};

const PROXIES_MAX: usize = 64;
/// What SOCKS5 can carry (RFC 1929).
const LOGIN_BYTES_MAX: usize = 255;

/// The proxies that are written; a fault never shows a URL, which may hold a password.
pub(super) fn proxies(written: &ProxySpec, at: &Place, faults: &mut Faults) -> Proxies {
    if written.secret_ref.is_some() {
        let message = "is read in Kubernetes only; here, write the proxies into request.proxy.urls";
        faults.add(&at.field("secretRef"), message);
    }
    let at_urls = at.field("urls");
    if written.urls.len() > PROXIES_MAX {
        faults.add(&at_urls, format!("has {} entries; at most {PROXIES_MAX} are allowed", written.urls.len()));
    }
    let mut list = Vec::new();
    for (index, text) in written.urls.iter().enumerate().take(PROXIES_MAX) {
        match proxy(text) {
            Ok(proxy) => list.push(proxy),
            Err(problem) => faults.add(&at_urls.index(index), problem),
        }
    }
    let rotation = match written.rotation {
        RotationSpec::PerHost => Rotation::PerHost,
        RotationSpec::PerRequest => Rotation::PerRequest,
    };
    Proxies { list, rotation }
}

fn proxy(text: &str) -> Result<Proxy, &'static str> {
    const SHAPE: &str = "is not a proxy such as http://proxy.example:3128 or socks5://user:password@10.0.0.1:1080";
    let url = Url::parse(text).map_err(|_| SHAPE)?;
    let kind = match url.scheme() {
        "http" => ProxyKind::Http,
        "socks5" => ProxyKind::Socks5,
        _ => return Err(SHAPE),
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(SHAPE);
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SHAPE)?;
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let default = if kind == ProxyKind::Http { 80 } else { 1080 };
    let decode = |text: &str| {
        let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let login = (!url.username().is_empty())
        .then(|| (decode(url.username()), Secret::new(decode(url.password().unwrap_or_default()))));
    let fits = |text: &str| text.len() <= LOGIN_BYTES_MAX && !text.chars().any(char::is_control);
    if login.as_ref().is_some_and(|(user, password)| !fits(user) || user.contains(':') || !fits(password.reveal())) {
        return Err("has a user with a colon, or a user or password of more than 255 bytes or with control characters");
    }
    Ok(Proxy { kind, host, port: url.port().unwrap_or(default), login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_with_its_login() {
        let proxy = proxy("socks5://us%40er:p%3Aw+&@Proxy.example").expect("a proxy");
        assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (ProxyKind::Socks5, "proxy.example", 1080));
        let (user, password) = proxy.login.expect("a login");
        assert_eq!((user.as_str(), password.reveal()), ("us@er", "p:w+&"));
        for bad in
            ["https://p.example:1", "proxy.example:80", "http://", "http://p.example/x", "http://a%3Ab:c@p.example"]
        {
            assert!(super::proxy(bad).is_err(), "{bad}");
        }
    }
}
