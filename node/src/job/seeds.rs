//! `spec.seeds`: where a crawl starts, each a URL of one of four kinds.

use std::collections::BTreeSet;

use scrapering_core::job::{DocumentKind, NormalizedUrl, Seed};
use scrapering_crds::job::{SEEDS_MAX, SeedSpec};

use super::labels::Labels;
use super::report::{Faults, Place, excerpt};

pub(super) fn seeds(written: &[SeedSpec], labels: &mut Labels, at: &Place, faults: &mut Faults) -> Vec<Seed> {
    if written.is_empty() {
        faults.add(at, "is empty; name at least one URL to start from");
    }
    if written.len() > SEEDS_MAX {
        faults.add(at, format!("has {} entries; at most {SEEDS_MAX} are allowed", written.len()));
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    let mut seeds = Vec::with_capacity(written.len());
    for (index, seed) in written.iter().enumerate() {
        let at = at.index(index);
        let label = labels.named(seed.label.as_deref(), &at.field("label"), faults);
        if let Some((url, kind)) = place(seed, &at, faults)
            && known.insert(url.clone())
        {
            seeds.push(Seed { url, kind, label });
        }
    }
    seeds
}

fn place(seed: &SeedSpec, at: &Place, faults: &mut Faults) -> Option<(NormalizedUrl, DocumentKind)> {
    let kinds = [
        ("url", &seed.url, DocumentKind::Page),
        ("sitemap", &seed.sitemap, DocumentKind::List),
        ("feed", &seed.feed, DocumentKind::List),
        ("sitemapsOf", &seed.sitemaps_of, DocumentKind::Robots),
    ];
    let mut written = kinds.into_iter().filter_map(|(field, text, kind)| Some((field, text.as_deref()?, kind)));
    let Some((field, text, kind)) = written.next() else {
        faults.add(at, "names nothing to start from; write one of url, sitemap, feed and sitemapsOf");
        return None;
    };
    if let Some((second, ..)) = written.next() {
        faults.add(&at.field(second), format!("cannot stand beside `{field}`; write two seeds"));
        return None;
    }
    let url = NormalizedUrl::parse(text).and_then(|url| match kind {
        DocumentKind::Robots => url.join("/robots.txt"),
        DocumentKind::Page | DocumentKind::List => Ok(url),
    });
    match url {
        Ok(url) => Some((url, kind)),
        Err(error) => {
            faults.add(&at.field(field), format!("`{}` {error}", excerpt(text)));
            None
        }
    }
}
