//! `spec.scope`: patterns that compile, domains in one spelling, extensions and media types.

use std::fmt::Display;
use std::str::FromStr;

use scrapering_core::job::scope::PatternError;
use scrapering_core::job::{Domain, Extension, Filters, MediaRange, NormalizedUrl, Patterns, Scope, ScopeType, Seed};
use scrapering_crds::job::DEPTH_MAX;
use scrapering_crds::job::scope::{self as spec, DENIED_EXTENSIONS, DOMAINS_MAX, EXTENSIONS_MAX, MIME_TYPES_MAX};

use super::report::{Faults, Place, excerpt};

/// Largest `scope.extraHops`.
const HOPS_MAX: u32 = 100;

pub(super) fn scope(written: &spec::ScopeSpec, seeds: &[Seed], at: &Place, faults: &mut Faults) -> Scope {
    let max_depth = written.max_depth.unwrap_or(u32::MAX);
    if written.max_depth.is_some_and(|depth| depth > DEPTH_MAX) {
        faults.add(&at.field("maxDepth"), format!("is {max_depth}; at most {DEPTH_MAX} is allowed, or leave it out"));
    }
    let scope_type = match written.scope_type {
        spec::ScopeType::Host => ScopeType::Host,
        spec::ScopeType::Prefix => ScopeType::Prefix,
        spec::ScopeType::Domain => ScopeType::Domain,
        spec::ScopeType::Page => ScopeType::Page,
        spec::ScopeType::Any => ScopeType::Any,
        spec::ScopeType::Custom => ScopeType::Custom,
    };
    if scope_type == ScopeType::Custom && written.include.is_empty() {
        faults.add(&at.field("include"), "is empty; with scopeType custom it says which pages belong to the job");
    }
    if written.extra_hops > HOPS_MAX {
        faults.add(&at.field("extraHops"), format!("is {}; use 0 to {HOPS_MAX}", written.extra_hops));
    }
    let include = patterns(&written.include, &at.field("include"), faults);
    let exclude = patterns(&written.exclude, &at.field("exclude"), faults);
    let roots: Vec<NormalizedUrl> = seeds.iter().map(|seed| seed.url.clone()).collect();
    Scope::new(scope_type, &roots, max_depth, include, exclude)
        .with_extra_hops(written.extra_hops)
        .with_filters(filters(written, at, faults))
}

fn filters(written: &spec::ScopeSpec, at: &Place, faults: &mut Faults) -> Filters {
    let domains: Vec<Domain> = list(&written.allowed_domains, DOMAINS_MAX, &at.field("allowedDomains"), faults);
    let extensions: Vec<Extension> = match &written.deny_extensions {
        Some(extensions) => list(extensions, EXTENSIONS_MAX, &at.field("denyExtensions"), faults),
        None => DENIED_EXTENSIONS.iter().filter_map(|text| text.parse().ok()).collect(),
    };
    let types: Vec<MediaRange> = list(&written.mime_types, MIME_TYPES_MAX, &at.field("mimeTypes"), faults);
    Filters {
        allowed_domains: domains.into_iter().collect(),
        deny_extensions: extensions.into_iter().collect(),
        media_types: types.into_iter().collect(),
    }
}

/// A list of short texts, each of which means something by itself.
fn list<T: FromStr<Err: Display>>(written: &[String], most: usize, at: &Place, faults: &mut Faults) -> Vec<T> {
    if written.len() > most {
        faults.add(at, format!("has {} entries; at most {most} are allowed", written.len()));
        return Vec::new();
    }
    let read = |(index, text): (usize, &String)| match text.parse() {
        Ok(read) => Some(read),
        Err(error) => {
            faults.add(&at.index(index), format!("`{}` {error}", excerpt(text)));
            None
        }
    };
    written.iter().enumerate().filter_map(read).collect()
}

pub(super) fn patterns(written: &[String], at: &Place, faults: &mut Faults) -> Patterns {
    if let Some(index) = written.iter().position(String::is_empty) {
        faults.add(&at.index(index), "is empty and would match everything; write a pattern or remove the entry");
    }
    match Patterns::compile(written) {
        Ok(patterns) => return patterns,
        Err(error @ (PatternError::TooMany(_) | PatternError::ListTooComplex)) => faults.add(at, error.to_string()),
        Err(
            error @ (PatternError::TooLong { index }
            | PatternError::Syntax { index, .. }
            | PatternError::TooComplex { index }),
        ) => faults.add(&at.index(index), error.to_string()),
    }
    Patterns::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_that_is_denied_by_default_is_one() {
        for text in DENIED_EXTENSIONS {
            assert!(text.parse::<Extension>().is_ok(), "{text}");
        }
    }
}
