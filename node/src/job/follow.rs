//! `spec.follow`: which links are followed, and what their pages are called.

use scrapering_core::job::{FollowRule, Selector, Source};
use scrapering_crds::job::{FOLLOW_SELECTOR_DEFAULT, FollowSpec, LISTING_PAGES_MAX, PRIORITY_MAX, RULES_MAX};

use super::extract::{Needs, Written, check_attribute};
use super::labels::Labels;
use super::report::{Faults, Place};
use super::scope::patterns;

pub(super) fn rules(written: &[FollowSpec], labels: &mut Labels, at: &Place, faults: &mut Faults) -> Vec<FollowRule> {
    if written.len() > RULES_MAX {
        faults.add(at, format!("has {} rules; at most {RULES_MAX} are allowed", written.len()));
        return Vec::new();
    }
    written.iter().enumerate().map(|(index, rule)| self::rule(rule, labels, &at.index(index), faults)).collect()
}

fn rule(rule: &FollowSpec, labels: &mut Labels, at: &Place, faults: &mut Faults) -> FollowRule {
    let written =
        Written { names: ["selector", "xpath"], native: rule.selector.as_deref(), xpath: rule.xpath.as_deref() };
    let selector = written.selector(Source::Html, Needs::Nodes, at, faults);
    check_attribute(&rule.attribute, &at.field("attribute"), faults);
    if rule.priority > PRIORITY_MAX {
        faults.add(&at.field("priority"), format!("is {}; use 0 to {PRIORITY_MAX}", rule.priority));
    }
    if let Some(pages) = rule.max_pages.filter(|pages| !(1..=LISTING_PAGES_MAX).contains(pages)) {
        faults.add(&at.field("maxPages"), format!("is {pages}; use 1 to {LISTING_PAGES_MAX}"));
    }
    FollowRule {
        selector: selector.unwrap_or_else(|| Selector::Native(FOLLOW_SELECTOR_DEFAULT.to_owned())),
        attribute: rule.attribute.to_ascii_lowercase(),
        allow: patterns(&rule.allow, &at.field("allow"), faults),
        deny: patterns(&rule.deny, &at.field("deny"), faults),
        label: labels.named(rule.label.as_deref(), &at.field("label"), faults),
        priority: u8::try_from(rule.priority).unwrap_or(u8::MAX),
        max_pages: rule.max_pages.map(|pages| u16::try_from(pages).unwrap_or(u16::MAX)),
    }
}
