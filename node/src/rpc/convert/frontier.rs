//! Links of the frontier on the wire.

use super::{Checked, Malformed, partition};
use scrapering_core::frontier::keys::url_partition;
use scrapering_core::frontier::record::Way;
use scrapering_core::frontier::shard::Link;
use scrapering_core::id::Partition;
use scrapering_core::job::{DocumentKind, NormalizedUrl};
use scrapering_proto::v1;

/// A link, checked to belong to the partition that it names.
pub fn link(wire: v1::follow_request::Link) -> Checked<(Partition, Link)> {
    let kind = match wire.kind() {
        v1::DocumentKind::Unspecified => DocumentKind::Page,
        v1::DocumentKind::List => DocumentKind::List,
        v1::DocumentKind::Robots => DocumentKind::Robots,
    };
    let url = NormalizedUrl::parse(&wire.url).map_err(|_| Malformed("links.url"))?;
    let partition = partition(wire.partition)?;
    if partition != url_partition(&url) {
        return Err(Malformed("links.partition"));
    }
    let small = |number: u32, field| u16::try_from(number).map_err(|_| Malformed(field));
    let way = Way {
        redirects: wire.redirects,
        hops: wire.hops,
        kind,
        label: small(wire.label, "links.label")?,
        rule: small(wire.rule, "links.rule")?,
        page: small(wire.page, "links.page")?,
        priority: u8::try_from(wire.priority).map_err(|_| Malformed("links.priority"))?,
    };
    Ok((partition, Link { url, depth: wire.depth, way }))
}

/// A link of `partition`.
pub fn link_to_wire(partition: Partition, link: &Link) -> v1::follow_request::Link {
    let kind = match link.way.kind {
        DocumentKind::Page => v1::DocumentKind::Unspecified,
        DocumentKind::List => v1::DocumentKind::List,
        DocumentKind::Robots => v1::DocumentKind::Robots,
    };
    v1::follow_request::Link {
        partition: partition.0.into(),
        url: link.url.as_str().to_owned(),
        depth: link.depth,
        redirects: link.way.redirects,
        hops: link.way.hops,
        kind: kind.into(),
        label: link.way.label.into(),
        rule: link.way.rule.into(),
        page: link.way.page.into(),
        priority: link.way.priority.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_arrives_as_it_was_sent_and_a_wrong_one_is_refused() {
        let url = NormalizedUrl::parse("https://shop.example/a?b").expect("a URL");
        let way = Way { redirects: 1, hops: 6, kind: DocumentKind::List, label: 2, rule: 3, page: 4, priority: 100 };
        let sent = Link { url: url.clone(), depth: 5, way };
        let wire = link_to_wire(url_partition(&url), &sent);
        assert_eq!(link(wire.clone()), Ok((url_partition(&url), sent)));
        for wrong in [
            v1::follow_request::Link { url: "ftp://shop.example/".to_owned(), ..wire.clone() },
            v1::follow_request::Link { partition: (wire.partition + 1) % 256, ..wire.clone() },
            v1::follow_request::Link { label: 70_000, ..wire.clone() },
            v1::follow_request::Link { priority: 256, ..wire },
        ] {
            assert!(link(wrong).is_err());
        }
    }
}
