//! Which URLs belong to a job: tables for each scope, patterns and their bounds.

use super::*;

fn url(text: &str) -> NormalizedUrl {
    NormalizedUrl::parse(text).expect(text)
}

fn patterns(list: &[&str]) -> Patterns {
    Patterns::compile(list).expect("patterns of a test compile")
}

fn plain(scope_type: ScopeType, seeds: &[&str]) -> Scope {
    let seeds: Vec<_> = seeds.iter().map(|seed| url(seed)).collect();
    Scope::new(scope_type, &seeds, 3, Patterns::default(), Patterns::default())
}

fn assert_scope(scope: &Scope, inside: &[&str], outside: &[&str]) {
    for text in inside {
        assert_eq!(scope.verdict(&url(text), 1, 0), Ok(0), "{text}");
    }
    for text in outside {
        assert_eq!(scope.verdict(&url(text), 1, 0), Err(SkipReason::OutOfScope), "{text}");
    }
}

#[test]
fn host_scope_is_the_host_and_port_of_a_seed() {
    let scope = plain(ScopeType::Host, &["https://a.example/x/", "http://127.0.0.1:8080/"]);
    assert_scope(
        &scope,
        &["https://a.example/", "http://a.example/y", "http://127.0.0.1:8080/p?q"],
        &[
            "https://b.a.example/",
            "https://a.example:8443/",
            "http://127.0.0.1:8081/",
            "http://127.0.0.1/",
            "http://a.example.evil/",
        ],
    );
}

#[test]
fn prefix_scope_is_the_folder_of_a_seed() {
    let scope = plain(ScopeType::Prefix, &["https://a.example/docs/3/index.html?x=/y/", "http://b.example"]);
    assert_scope(
        &scope,
        &[
            "https://a.example/docs/3/",
            "http://a.example/docs/3/lib/os.html",
            "https://a.example/docs/3/x?y#z",
            "http://b.example/any",
        ],
        &[
            "https://a.example/docs/",
            "https://a.example/docs/3",
            "https://a.example/docs/33/x",
            "https://c.example/docs/3/x",
            "https://a.example/docs/3/../2/",
        ],
    );
}

#[test]
fn domain_scope_is_the_registrable_domain() {
    let scope = plain(ScopeType::Domain, &["https://www.shop.co.uk/", "http://me.github.io/", "http://127.0.0.1:9/"]);
    assert_scope(
        &scope,
        &["http://shop.co.uk/", "https://img.cdn.shop.co.uk:8443/", "https://me.github.io/x", "http://127.0.0.1/"],
        &["https://other.co.uk/", "https://you.github.io/", "http://126.0.0.1/", "http://notshop.co.uk/"],
    );
    let local = plain(ScopeType::Domain, &["http://localhost/"]);
    assert_scope(&local, &["http://localhost:1/"], &["http://127.0.0.1/"]);
}

#[test]
fn exclude_wins_over_include_and_seeds_are_always_in() {
    let seeds = [url("https://a.example/")];
    let scope = Scope::new(ScopeType::Host, &seeds, 2, patterns(&["/catalogue/", r"\.html$"]), patterns(&[r"\?sort="]));
    assert_scope(
        &scope,
        &["https://a.example/catalogue/1", "https://a.example/x.html"],
        &["https://a.example/other", "https://a.example/catalogue/?sort=price"],
    );
    assert_eq!(scope.verdict(&seeds[0], 0, 0), Ok(0));
}

#[test]
fn depth_is_named_only_for_urls_that_are_in_scope() {
    let scope = plain(ScopeType::Host, &["https://a.example/"]);
    assert_eq!(scope.verdict(&url("https://a.example/x"), 3, 0), Ok(0));
    assert_eq!(scope.verdict(&url("https://a.example/x"), 4, 0), Err(SkipReason::Depth));
    assert_eq!(scope.verdict(&url("https://b.example/x"), 4, 0), Err(SkipReason::OutOfScope));
}

#[test]
fn patterns_that_are_wrong_or_too_large_are_refused_by_their_index() {
    assert!(
        matches!(Patterns::compile(&["ok", "("]), Err(PatternError::Syntax { index: 1, message }) if message.contains("unclosed group"))
    );
    assert!(matches!(Patterns::compile(&["(?=x)"]), Err(PatternError::Syntax { index: 0, .. })));
    assert_eq!(Patterns::compile(&[r"(\w{100}){100}"]), Err(PatternError::TooComplex { index: 0 }));
    assert_eq!(Patterns::compile(&["a".repeat(PATTERN_BYTES_MAX + 1)]), Err(PatternError::TooLong { index: 0 }));
    assert_eq!(Patterns::compile(&vec!["a"; PATTERNS_MAX + 1]), Err(PatternError::TooMany(PATTERNS_MAX + 1)));
    assert_eq!(Patterns::compile(&vec![r"\w{8}"; PATTERNS_MAX]), Err(PatternError::ListTooComplex));
}

#[test]
fn pages_outside_are_followed_for_a_few_hops_and_what_is_excluded_never() {
    let scope = Scope::new(
        ScopeType::Host,
        &[url("https://a.example/")],
        9,
        Patterns::default(),
        Patterns::compile(&["secret"]).expect("a pattern"),
    )
    .with_extra_hops(2);
    assert_eq!(scope.verdict(&url("https://b.example/x"), 1, 0), Ok(1));
    assert_eq!(scope.verdict(&url("https://c.example/x"), 2, 1), Ok(2));
    assert_eq!(scope.verdict(&url("https://d.example/x"), 3, 2), Err(SkipReason::OutOfScope));
    assert_eq!(scope.verdict(&url("https://a.example/x"), 3, 2), Ok(0), "back inside");
    assert_eq!(scope.verdict(&url("https://b.example/secret"), 1, 0), Err(SkipReason::OutOfScope));
}

#[test]
fn a_scope_may_be_the_seeds_alone_everything_or_what_include_says() {
    let seeds = [url("https://a.example/")];
    let scope = |scope_type, include: &[&str]| {
        Scope::new(scope_type, &seeds, 9, Patterns::compile(include).expect("patterns"), Patterns::default())
    };
    let (inside, outside) = (url("https://a.example/x"), url("https://b.example/x"));
    let out = Err(SkipReason::OutOfScope);
    assert_eq!(scope(ScopeType::Page, &[]).verdict(&inside, 1, 0), out);
    assert_eq!(scope(ScopeType::Page, &[]).verdict(&seeds[0], 0, 0), Ok(0));
    assert_eq!(scope(ScopeType::Any, &[]).verdict(&outside, 1, 0), Ok(0));
    assert_eq!(scope(ScopeType::Custom, &["b\\.example"]).verdict(&outside, 1, 0), Ok(0));
    assert_eq!(scope(ScopeType::Custom, &["b\\.example"]).verdict(&inside, 1, 0), out);
}

fn filters(domains: &[&str], extensions: &[&str]) -> Filters {
    Filters {
        allowed_domains: domains.iter().map(|text| text.parse::<crate::job::Domain>().expect(text)).collect(),
        deny_extensions: extensions.iter().map(|text| text.parse::<crate::job::Extension>().expect(text)).collect(),
        media_types: MediaTypes::default(),
    }
}

#[test]
fn allowed_domains_narrow_every_scope_and_hold_for_extra_hops_too() {
    let allowed = filters(&["a.example"], &[]);
    let seeds = ["https://www.a.example/docs/", "https://b.example/"];
    for scope_type in [ScopeType::Host, ScopeType::Prefix, ScopeType::Domain, ScopeType::Any] {
        let scope = plain(scope_type, &seeds).with_filters(allowed.clone());
        assert_scope(&scope, &["https://www.a.example/docs/x"], &["https://b.example/x", "https://c.example/"]);
        let wide = scope.with_extra_hops(9);
        assert!(wide.verdict(&url("https://other.a.example/x"), 1, 1).is_ok(), "{scope_type:?}");
        assert_scope(&wide, &[], &["https://b.example/x", "https://c.example/"]);
        let beside = |text| wide.verdict_beside(&url(text), DocumentKind::Page, 0);
        assert_eq!(beside("https://b.example/x"), Err(SkipReason::OutOfScope), "{scope_type:?}");
        assert_eq!(wide.verdict(&url(seeds[1]), 0, 0), Ok(0), "a seed is always in");
    }
}

#[test]
fn links_are_left_out_for_their_extension_and_lists_are_not() {
    let scope = plain(ScopeType::Host, &["https://a.example/"]).with_filters(filters(&[], &["pdf", "gz"]));
    let (paper, packed) = (url("https://a.example/Paper.PDF?v=2"), url("https://a.example/sitemap.xml.gz"));
    assert_eq!(scope.verdict(&paper, 1, 0), Err(SkipReason::Extension));
    assert_eq!(scope.verdict(&paper, 0, 0), Ok(0), "a seed is always in");
    assert_eq!(scope.verdict(&paper, 4, 0), Err(SkipReason::Extension), "nobody would fetch it nearer by");
    assert_eq!(scope.verdict(&url("https://b.example/x.pdf"), 1, 0), Err(SkipReason::OutOfScope));
    assert_eq!(scope.verdict_beside(&paper, DocumentKind::Page, 0), Err(SkipReason::Extension));
    assert_eq!(scope.verdict_beside(&packed, DocumentKind::Page, 0), Err(SkipReason::Extension));
    assert_eq!(scope.verdict_beside(&packed, DocumentKind::List, 0), Ok(0));
    assert_scope(&scope, &["https://a.example/pdf", "https://a.example/x.html"], &[]);
}

#[test]
fn what_is_only_too_far_away_is_told_from_what_is_left_out_for_good() {
    let seeds = [url("https://a.example/")];
    let scope = Scope::new(ScopeType::Host, &seeds, 3, Patterns::default(), patterns(&["/secret"]))
        .with_filters(filters(&["a.example", "b.example"], &["gz"]));
    let admits = |text, kind| scope.admits(&url(text), kind);
    assert!(admits("https://b.example/x", DocumentKind::Page) && admits("https://a.example/x", DocumentKind::Page));
    assert!(
        !admits("https://c.example/x", DocumentKind::Page) && !admits("https://b.example/secret", DocumentKind::Page)
    );
    assert!(
        !admits("https://b.example/x.gz", DocumentKind::Page) && admits("https://b.example/x.gz", DocumentKind::List)
    );
}
