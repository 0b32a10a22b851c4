//! Addresses and URL forms the guard must refuse, and those it must not.

use std::net::IpAddr;

use url::Url;

use super::*;

const SPECIAL: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff02::1",
    "ff0e::1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "203.0.114.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "3ffe::1",
    "3fff:1000::1",
];

#[test]
fn special_addresses_are_not_globally_routable() {
    for text in SPECIAL {
        let address: IpAddr = text.parse().unwrap();
        assert!(!is_globally_routable(address), "{text}");
        assert!(!Guard::default().allows(address), "{text}");
    }
}

#[test]
fn public_addresses_next_to_special_blocks_are_globally_routable() {
    for text in PUBLIC {
        assert!(is_globally_routable(text.parse().unwrap()), "{text}");
    }
}

#[test]
fn an_opened_block_allows_its_addresses_and_only_those() {
    let guard = Guard::new(&["10.1.0.0/16".parse().unwrap()]);
    assert!(guard.allows("10.1.2.3".parse().unwrap()));
    assert!(!guard.allows("10.2.0.1".parse().unwrap()));
    assert!(!guard.allows("::ffff:10.1.2.3".parse().unwrap()));
    assert!(guard.allows("1.1.1.1".parse().unwrap()));
}

#[test]
fn one_private_address_spoils_an_answer() {
    let guard = Guard::default();
    let public: IpAddr = "1.1.1.1".parse().unwrap();
    let private: IpAddr = "fd00::1".parse().unwrap();
    assert_eq!(guard.check_all(vec![public]), Ok(vec![public]));
    assert_eq!(guard.check_all(vec![public, private]), Err(AddressNotAllowed));
}

#[test]
fn urls_of_other_schemes_and_ports_of_other_protocols_are_refused() {
    let check = |url: &str| Guard::default().check_url(&Url::parse(url).unwrap());
    for url in [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com:70/",
        "data:text/html,x",
        "ws://example.com/",
    ] {
        assert!(matches!(check(url), Err(FetchError::NotHttp)), "{url}");
    }
    for url in ["http://example.com:25/", "https://example.com:22/", "http://example.com:0/"] {
        assert!(matches!(check(url), Err(FetchError::PortNotAllowed { .. })), "{url}");
    }
    for url in ["http://example.com/", "https://example.com:8443/", "http://1.1.1.1/", "http://[2606:4700:4700::1111]/"]
    {
        assert!(check(url).is_ok(), "{url}");
    }
}

#[test]
fn every_way_to_write_an_address_is_seen_through() {
    for host in loopback_and_metadata_spellings() {
        let url = format!("http://{host}/");
        let Ok(url) = Url::parse(&url) else { continue };
        assert!(
            matches!(Guard::default().check_url(&url), Err(FetchError::AddressNotAllowed)),
            "{host} is read as {url}"
        );
    }
}

/// Spellings of loopback, metadata and other private addresses that URL parsers accept: short, decimal, hexadecimal, octal, mixed,
/// enclosed and full-width digits, trailing dots, percent-encoding, and IPv6 in its disguises.
pub(crate) fn loopback_and_metadata_spellings() -> Vec<String> {
    let mut hosts: Vec<String> = [
        "2130706433",
        "0x7f000001",
        "0x7F000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0177.1",
        "0177.0.0.1",
        "0177.0.0.01",
        "0x7f.0x0.0x0.0x1",
        "127.0.0.1.",
        "127.0x1",
        "00000177.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "127.0。0.1",
        "１２７.０.０.１",
        "%31%32%37.0.0.1",
        "0",
        "0x0",
        "0.0",
        "0000.0000.0000.0000",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.16689662",
        "0xa9.0xfe.0xa9.0xfe",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "user@127.0.0.1",
        "user:secret@127.0.0.1",
        "example.com@127.0.0.1",
        "example.com:80@127.0.0.1",
    ]
    .map(str::to_owned)
    .to_vec();
    hosts.extend(SPECIAL.iter().map(|text| match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }));
    for base in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.17.0.1", "100.100.100.200"] {
        let bits = base.parse::<Ipv4Addr>().unwrap().to_bits();
        let [a, b, c, d] = bits.to_be_bytes();
        hosts.extend([
            format!("{bits}"),
            format!("{bits:#x}"),
            format!("{bits:#X}").replace("0X", "0x"),
            format!("0{bits:o}"),
            format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
            format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
            format!("{a}.{}", bits & 0x00ff_ffff),
            format!("{a}.{b}.{}", bits & 0xffff),
            format!("{a}.{b}.{c}.{d:#x}"),
            format!("{a:#x}.{b}.0{c:o}.{d}"),
            format!("{a}.{b}.{c}.{d}."),
            format!("[::ffff:{base}]"),
            format!("[::ffff:{:x}:{:x}]", bits >> 16, bits & 0xffff),
            format!("[::{base}]"),
            format!("[64:ff9b::{base}]"),
            format!("[64:ff9b:1::{base}]"),
            format!("[2002:{:x}:{:x}::1]", bits >> 16, bits & 0xffff),
        ]);
    }
    hosts
}
