//! What the operator says is explained: every word of a condition, an operation or an event has its place in
//! `docs/conditions.md`, and every link of an alert leads somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Words in the sources that nobody is told as a reason: kinds, units, and words of other people's objects.
const NO_REASONS: [&str; 12] =
    ["Bound", "Gi", "Keys", "Ki", "Mi", "Pi", "Reconcile", "ScrapeJob", "ScrapeRing", "ScrapeSchedule", "Ti", "True"];

/// The operator's sources, without what only tests and manifests need.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "build" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !["tests.rs", "build.rs", "memory_api.rs", "main.rs"].contains(&&*name) {
            found.push(path);
        }
    }
}

/// Every text in CamelCase that stands in quotes.
fn words(source: &str) -> BTreeSet<String> {
    let said = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_word = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(|first| first.is_ascii_uppercase())
            && letters.clone().any(|letter| letter.is_ascii_lowercase())
            && letters.all(|letter| letter.is_ascii_alphabetic())
    };
    said.split('"').filter(|text| is_word(text)).map(str::to_owned).collect()
}

#[test]
fn every_word_that_the_operator_says_is_explained() {
    let page = std::fs::read_to_string("../docs/conditions.md").expect("the page");
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let all: BTreeSet<String> =
        files.iter().flat_map(|file| words(&std::fs::read_to_string(file).expect("a source"))).collect();
    assert!(all.len() > 80 && all.contains("NodeFails"), "the walk finds next to nothing: {all:?}");
    let is_explained = |word: &String| {
        page.contains(&format!("`{word}`"))
            || page.contains(&format!("### {word}\n"))
            || page.contains(&format!("### {word} - "))
    };
    let missing: Vec<_> =
        all.iter().filter(|word| !NO_REASONS.contains(&word.as_str()) && !is_explained(word)).collect();
    assert!(missing.is_empty(), "docs/conditions.md does not say what these mean: {missing:?}");
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_alert_has_a_place_where_it_says_what_to_do() {
    let rules = std::fs::read_to_string("../helm/files/rules.yaml").expect("the rules");
    let page = anchors(&std::fs::read_to_string("../docs/operations.md").expect("the page"));
    let places: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: ")).collect();
    assert_eq!(places.len(), rules.matches("- alert: ").count(), "an alert without a runbook");
    for place in places {
        let (url, anchor) = place.split_once('#').expect("a place in a page");
        assert!(url.ends_with("/docs/operations.md") && page.contains(anchor), "{place} leads nowhere");
    }
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    for name in ["conditions", "operations", "kubernetes"] {
        let text = std::fs::read_to_string(format!("../docs/{name}.md")).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let target = if file.is_empty() { format!("../docs/{name}.md") } else { format!("../docs/{file}") };
            let page = std::fs::read_to_string(&target).unwrap_or_else(|_| panic!("{name}.md: {link} leads nowhere"));
            assert!(place.is_empty() || anchors(&page).contains(place), "{name}.md: {link} leads nowhere");
        }
    }
}
