//! Who may speak with the nodes, and where they may go: nothing but what stands here.
//!
//! Each policy allows one thing; together with the one that allows nothing, all else is refused. What the nodes may visit on
//! the web is the public address space without everything that is private, local or reserved: a page must not be able
//! to make a node fetch the metadata of its cloud or a neighbour in the cluster. (The node checks every address itself
//! as well, since not every cluster enforces policies.)

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use scrapering_crds::ring::OtlpSpec;

use super::{labels, metadata, selector};
use crate::ring::contract;
use crate::ring::validate::ValidatedRing;

/// Public IPv4 space in two halves, since one large network plug-in mishandles 0.0.0.0/0, and global unicast IPv6
/// space; each with what is not globally routable (RFC 6890 and the IANA special-purpose registries).
const WEB: [(&str, &[&str]); 3] = [
    ("0.0.0.0/1", &["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8"]),
    (
        "128.0.0.0/1",
        &[
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ],
    ),
    ("2000::/3", &["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]),
];
/// Where NodeLocal DNSCache listens on every machine.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";

/// The policies of a ring; none when its owner has others that do the same.
pub(super) fn policies(ring: &ValidatedRing) -> Vec<NetworkPolicy> {
    if !ring.spec.security.network_policy.enabled {
        return Vec::new();
    }
    let mut all = vec![deny(ring), among_nodes(ring), gateway(ring), dns(ring), web(ring)];
    all.extend(operator(ring));
    all.extend(ring.spec.telemetry.otlp.as_ref().map(|otlp| telemetry(ring, otlp)));
    let monitor = ring.spec.telemetry.service_monitor.as_ref().filter(|monitor| !monitor.from.is_empty());
    all.extend(monitor.map(|monitor| policy(ring, "metrics", to_gateway(monitor.from.clone()))));
    all
}

/// Names of every policy that a ring may ever have had.
pub(in crate::ring) fn names(ring: &str) -> [String; 8] {
    ["deny", "ring", "gateway", "dns", "web", "operator", "telemetry", "metrics"].map(|what| format!("{ring}-{what}"))
}

fn policy(ring: &ValidatedRing, what: &str, spec: NetworkPolicySpec) -> NetworkPolicy {
    let pod_selector = Some(LabelSelector { match_labels: Some(selector(&ring.name)), ..LabelSelector::default() });
    let spec = NetworkPolicySpec { pod_selector, ..spec };
    NetworkPolicy { metadata: metadata(ring, format!("{}-{what}", ring.name)), spec: Some(spec) }
}

fn deny(ring: &ValidatedRing) -> NetworkPolicy {
    let types = Some(vec!["Ingress".to_owned(), "Egress".to_owned()]);
    policy(ring, "deny", NetworkPolicySpec { policy_types: types, ..NetworkPolicySpec::default() })
}

fn among_nodes(ring: &ValidatedRing) -> NetworkPolicy {
    let nodes = vec![pods(None, selector(&ring.name))];
    let ports = Some(vec![tcp(IntOrString::String("ring".to_owned()))]);
    let spec = NetworkPolicySpec {
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: Some(vec![NetworkPolicyIngressRule { from: Some(nodes.clone()), ports: ports.clone() }]),
        egress: Some(vec![NetworkPolicyEgressRule { to: Some(nodes), ports }]),
        ..NetworkPolicySpec::default()
    };
    policy(ring, "ring", spec)
}

fn gateway(ring: &ValidatedRing) -> NetworkPolicy {
    let declared = &ring.spec.security.network_policy.gateway_from;
    let same_namespace =
        || NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let from = if declared.is_empty() { vec![same_namespace()] } else { declared.clone() };
    policy(ring, "gateway", to_gateway(from))
}

fn operator(ring: &ValidatedRing) -> Option<NetworkPolicy> {
    let pods_of = ring.operator.as_ref()?;
    let namespace = labels([("kubernetes.io/metadata.name", &pods_of.namespace)]);
    let component = labels([("app.kubernetes.io/component", &pods_of.component)]);
    Some(policy(ring, "operator", to_gateway(vec![pods(Some(namespace), component)])))
}

fn to_gateway(from: Vec<NetworkPolicyPeer>) -> NetworkPolicySpec {
    let ports = Some(vec![tcp(IntOrString::Int(contract::GATEWAY_PORT))]);
    NetworkPolicySpec {
        policy_types: Some(vec!["Ingress".to_owned()]),
        ingress: Some(vec![NetworkPolicyIngressRule { from: Some(from), ports }]),
        ..NetworkPolicySpec::default()
    }
}

fn dns(ring: &ValidatedRing) -> NetworkPolicy {
    let system = labels([("kubernetes.io/metadata.name", "kube-system")]);
    let servers = vec![pods(Some(system), labels([("k8s-app", "kube-dns")])), block(NODE_LOCAL_DNS, &[])];
    let port = |protocol: &str| NetworkPolicyPort {
        port: Some(IntOrString::Int(53)),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    };
    policy(
        ring,
        "dns",
        egress(vec![NetworkPolicyEgressRule { to: Some(servers), ports: Some(vec![port("UDP"), port("TCP")]) }]),
    )
}

/// The public web on its ports, and on every port the private networks that the ring's owner allows by name: for jobs,
/// or for the issuer of tokens.
fn web(ring: &ValidatedRing) -> NetworkPolicy {
    let asked = &ring.spec.security.network_policy;
    let ports: Vec<NetworkPolicyPort> = asked.web_ports.iter().map(|port| tcp(IntOrString::Int(*port))).collect();
    let denied =
        |cidr: &str| asked.denied_cidrs.iter().filter(|denied| lies_in(denied, cidr)).cloned().collect::<Vec<_>>();
    let blocks = WEB.iter().map(|(cidr, except)| {
        let except: Vec<String> = except.iter().map(|it| (*it).to_owned()).chain(denied(cidr)).collect();
        block(cidr, &except)
    });
    let mut rules = vec![NetworkPolicyEgressRule { to: Some(blocks.collect()), ports: Some(ports) }];
    let of_issuer = ring.spec.gateway.oidc.iter().flat_map(|oidc| &oidc.cidrs);
    let named = ring.spec.scraping.allowed_private_cidrs.iter().chain(of_issuer);
    let private: Vec<_> = named.map(|cidr| block(cidr, &[])).collect();
    if !private.is_empty() {
        rules.push(NetworkPolicyEgressRule { to: Some(private), ports: None });
    }
    policy(ring, "web", egress(rules))
}

/// The collector that is sent spans, on its port.
fn telemetry(ring: &ValidatedRing, otlp: &OtlpSpec) -> NetworkPolicy {
    let every_pod =
        || NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let to = if otlp.to.is_empty() { vec![every_pod()] } else { otlp.to.clone() };
    let ports = Some(vec![tcp(IntOrString::Int(otlp.port()))]);
    policy(ring, "telemetry", egress(vec![NetworkPolicyEgressRule { to: Some(to), ports }]))
}

/// Whether a network lies within another; the API server refuses an exception that does not.
fn lies_in(inner: &str, outer: &str) -> bool {
    fn parse(cidr: &str) -> Option<(u128, u8, bool)> {
        let (address, length) = cidr.split_once('/')?;
        let length: u8 = length.parse().ok()?;
        match address.parse().ok()? {
            std::net::IpAddr::V4(address) => Some((u128::from(address.to_bits()) << 96, length, true)),
            std::net::IpAddr::V6(address) => Some((address.to_bits(), length, false)),
        }
    }
    let (Some((inner, inner_length, inner_is_v4)), Some((outer, length, is_v4))) = (parse(inner), parse(outer)) else {
        return false;
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    inner_is_v4 == is_v4 && inner_length >= length && inner & mask == outer & mask
}

fn egress(rules: Vec<NetworkPolicyEgressRule>) -> NetworkPolicySpec {
    NetworkPolicySpec {
        policy_types: Some(vec!["Egress".to_owned()]),
        egress: Some(rules),
        ..NetworkPolicySpec::default()
    }
}

fn pods(namespace: Option<BTreeMap<String, String>>, labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    let select = |labels| LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
    NetworkPolicyPeer { namespace_selector: namespace.map(select), pod_selector: Some(select(labels)), ip_block: None }
}

/// The API server drops empty lists, and what is dropped looks like a change the next time.
fn block(cidr: &str, except: &[String]) -> NetworkPolicyPeer {
    let except = (!except.is_empty()).then(|| except.to_vec());
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr: cidr.to_owned(), except }), ..NetworkPolicyPeer::default() }
}

fn tcp(port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(port), protocol: Some("TCP".to_owned()), ..NetworkPolicyPort::default() }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn admits(address: &str) -> bool {
        let address: IpAddr = address.parse().expect("an address");
        let host = if address.is_ipv4() { format!("{address}/32") } else { format!("{address}/128") };
        WEB.iter().any(|(cidr, except)| lies_in(&host, cidr) && !except.iter().any(|except| lies_in(&host, except)))
    }

    #[test]
    fn every_exception_lies_in_its_block() {
        for (cidr, except) in WEB {
            for except in except {
                assert!(lies_in(except, cidr), "{except} is not in {cidr}");
            }
        }
    }

    /// First and last address of every block that is not globally reachable, by the IANA special-purpose registries.
    #[test]
    fn no_private_metadata_shared_local_or_documentation_address_can_be_reached() {
        let blocks = [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("169.254.169.254", "169.254.170.2"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("::ffff:10.0.0.1", "::ffff:169.254.169.254"),
            ("64:ff9b::a00:1", "64:ff9b:1::1"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fd00:ec2::254", "fd00:ec2::254"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        for address in blocks.iter().flat_map(|(first, last)| [first, last]) {
            assert!(!admits(address), "{address} can be reached");
        }
    }

    #[test]
    fn public_addresses_can_be_reached() {
        for address in ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "126.255.255.255", "128.0.0.1"] {
            assert!(admits(address), "{address}");
        }
        for address in ["172.15.255.255", "172.32.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450::1"] {
            assert!(admits(address), "{address}");
        }
    }
}
