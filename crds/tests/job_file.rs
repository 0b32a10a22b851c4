//! Job documents as people write them: what is read, what is refused, and with which path.

use std::time::Duration;

use scrapering_crds::file::FILE_BYTES_MAX;
use scrapering_crds::job::{ElementType, FieldType, ScopeType};
use scrapering_crds::{ByteSize, JobFileError, ScrapeJobFile, Span};

const HEAD: &str = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a}\n";

fn with_spec(spec: &str) -> String {
    format!("{HEAD}spec:\n  seeds: [{{url: 'http://a.example/'}}]\n{spec}")
}

fn refused_at(text: &str) -> (String, String) {
    match ScrapeJobFile::parse(text) {
        Err(JobFileError::Field { path, message }) => (path, message),
        other => panic!("expected a refused field, got {other:?}\n{text}"),
    }
}

#[test]
fn the_smallest_job_gets_every_default() {
    let job = ScrapeJobFile::parse(&with_spec("")).expect("a minimal job");
    let spec = job.spec;
    assert_eq!(spec.scope.scope_type, ScopeType::Host);
    assert_eq!((spec.follow[0].selector.as_deref(), spec.follow[0].attribute.as_str()), (None, "href"));
    assert!(spec.extract.is_empty() && spec.politeness.robots.obey && !spec.suspend);
    assert_eq!(spec.politeness.delay, Span(Duration::from_secs(1)));
    assert_eq!(spec.politeness.concurrent_requests_per_host, 1);
    assert_eq!(spec.limits.max_body_bytes, ByteSize(10 << 20));
    assert_eq!((spec.limits.max_pages, spec.retry.max_retries), (None, 2));
}

#[test]
fn an_empty_follow_list_is_kept_empty() {
    assert!(ScrapeJobFile::parse(&with_spec("  follow: []\n")).expect("a job").spec.follow.is_empty());
}

#[test]
fn json_is_read_like_yaml_even_indented_by_tabs() {
    let yaml = ScrapeJobFile::parse(&with_spec("  limits: {maxBodyBytes: 2048}\n")).expect("YAML");
    let pretty = serde_json::to_string_pretty(&yaml).expect("a job is JSON");
    let tabbed = pretty.replace("  ", "\t");
    for json in [serde_json::to_string(&yaml).expect("JSON"), pretty, tabbed] {
        assert_eq!(ScrapeJobFile::parse(&json).expect(&json), yaml);
    }
}

#[test]
fn fields_keep_their_types_and_their_order() {
    let job = ScrapeJobFile::parse(&with_spec(
        "  extract:\n  - name: book\n    fields:\n    - {name: z, selector: h1}\n    - {name: a, type: list, of: url, default: [1, {x: 2}]}\n",
    ))
    .expect("a job");
    let fields = &job.spec.extract[0].fields;
    assert_eq!((fields[0].name.as_str(), fields[0].type_), ("z", FieldType::Text));
    assert_eq!((fields[1].type_, fields[1].of), (FieldType::List, Some(ElementType::Url)));
    assert_eq!(fields[1].default, Some(serde_json::json!([1, {"x": 2}])));
}

#[test]
fn every_fault_of_shape_names_its_field() {
    let table = [
        ("  sedes: []\n", "spec.sedes", "unknown field"),
        ("  scope: {scopeType: planet}\n", "spec.scope.scopeType", "unknown variant `planet`"),
        ("  scope: {maxDepth: -1}\n", "spec.scope.maxDepth", "u32"),
        ("  suspend: yes\n", "spec.suspend", "expected a boolean"),
        ("  politeness: {delay: 1}\n", "spec.politeness.delay", "with its unit"),
        ("  politeness: {delay: 1 second}\n", "spec.politeness.delay", "is not a duration"),
        ("  limits: {maxBodyBytes: 10MB}\n", "spec.limits.maxBodyBytes", "is not a size"),
        ("  extract: [{name: a}]\n", "spec.extract[0]", "missing field `fields`"),
        (
            "  extract: [{name: a, fields: [{name: b}, {name: c, type: txt}]}]\n",
            "spec.extract[0].fields[1].type",
            "unknown variant `txt`",
        ),
        (
            "  extract: [{name: a, fields: [{name: b, selectr: x}]}]\n",
            "spec.extract[0].fields[0].selectr",
            "unknown field",
        ),
        ("  follow: a\n", "spec.follow", "expected a sequence"),
        ("  follow: [{label: 1}]\n", "spec.follow[0].label", "expected a string"),
    ];
    for (spec, path, says) in table {
        let (found, message) = refused_at(&with_spec(spec));
        assert_eq!(found, path, "{spec}");
        assert!(message.contains(says), "{spec}: {message}");
    }
}

#[test]
fn the_head_is_judged_before_the_rest() {
    let table = [
        ("kind: ScrapeJob\nspec: 3\n", "apiVersion", "is missing"),
        ("apiVersion: scrapering.io/v2\nkind: ScrapeJob\n", "apiVersion", "`scrapering.io/v1alpha1`"),
        ("apiVersion: scrapering.io/v1alpha1\nkind: Job\n", "kind", "is `Job`; this version reads `ScrapeJob`"),
        (
            "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a, uid: b}\nspec: {seeds: []}\n",
            "metadata.uid",
            "unknown field",
        ),
        ("apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a}\n", ".", "missing field `spec`"),
        ("- a\n", ".", "expected a ScrapeJob"),
        ("just text", ".", "expected a ScrapeJob"),
    ];
    for (text, path, says) in table {
        let (found, message) = refused_at(text);
        assert_eq!(found, path, "{text}");
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn faults_of_syntax_tell_line_and_column() {
    match ScrapeJobFile::parse(&format!("{HEAD}spec: [\n")) {
        Err(JobFileError::Syntax { line, column, message }) => {
            assert!(line >= 4 && column >= 1 && !message.is_empty(), "{line}:{column} {message}");
        }
        other => panic!("expected a syntax error, got {other:?}"),
    }
    for text in
        [format!("{HEAD}kind: ScrapeJob\n"), format!("{HEAD}spec:\n\tseeds: []\n"), format!("{HEAD}spec: *nowhere\n")]
    {
        assert!(matches!(ScrapeJobFile::parse(&text), Err(JobFileError::Syntax { line: 4.., .. })), "{text}");
    }
}

#[test]
fn empty_large_and_several_documents_are_refused_in_words() {
    for text in ["", "   \n", "# nothing\n", "---\n", "null"] {
        assert!(matches!(ScrapeJobFile::parse(text), Err(JobFileError::Empty)), "{text:?}");
    }
    let large = format!("{}#{}", with_spec(""), "x".repeat(FILE_BYTES_MAX));
    assert!(matches!(ScrapeJobFile::parse(&large), Err(JobFileError::TooLarge { bytes }) if bytes == large.len()));
    let two = format!("{}---\n{}", with_spec(""), with_spec(""));
    assert!(
        matches!(ScrapeJobFile::parse(&two), Err(JobFileError::MultipleDocuments { .. })),
        "{:?}",
        ScrapeJobFile::parse(&two)
    );
}

#[test]
fn aliases_work_but_cannot_explode() {
    let anchored = with_spec("  follow: [&f {selector: a}, *f]\n");
    assert_eq!(ScrapeJobFile::parse(&anchored).expect("aliases are YAML").spec.follow.len(), 2);
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let uses = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
    }
    let started = std::time::Instant::now();
    assert!(matches!(ScrapeJobFile::parse(&bomb), Err(JobFileError::Syntax { .. })));
    assert!(matches!(ScrapeJobFile::parse(&"[".repeat(100_000)), Err(JobFileError::Syntax { .. })));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_job_written_back_reads_as_the_same_job() {
    let job = ScrapeJobFile::parse(&with_spec(
        "  limits: {maxDuration: 90m, maxPages: 7}\n  retry: {backoff: {initial: 250ms}}\n",
    ))
    .expect("a job");
    let text = serde_saphyr::to_string(&job).expect("a job is YAML");
    assert_eq!(ScrapeJobFile::parse(&text).expect(&text), job);
}
