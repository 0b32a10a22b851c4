//! Items from JSON pages, JSON-LD, OpenGraph and `meta`; transforms, dates, schemas and keys as a job meets them.

use scrapering_core::job::{Source, Transform};

use super::*;

fn json_page(rules: &[ExtractRule], body: &str) -> PageResult {
    let compiled = CompiledExtract::compile(rules, &[]).unwrap();
    compiled
        .page(
            Page {
                body: body.as_bytes(),
                content_type: Some("application/json; charset=utf-8"),
                url: &url(),
                label: 0,
            },
            CpuBudget::default(),
        )
        .unwrap()
}

fn of(source: Source, base: &str, fields: Vec<Field>) -> ExtractRule {
    ExtractRule { source, ..rule(base, fields) }
}

fn list(element: FieldKind) -> FieldKind {
    FieldKind::List { element: Box::new(element), fields: vec![] }
}

fn date(attribute: Option<&str>) -> FieldKind {
    FieldKind::Date { attribute: attribute.map(str::to_owned), format: None }
}

#[test]
fn a_json_page_is_selected_by_json_paths() {
    let rules = [of(
        Source::Json,
        "$.offers[*]",
        vec![
            field("title", "$.title", FieldKind::Text),
            field("price", "$.price", FieldKind::Number { attribute: None }),
            field("link", "$.link", FieldKind::Url { attribute: None }),
            field("tags", "$.tags", list(FieldKind::Text)),
            field("sizes", "$.variants[*].size", list(FieldKind::Number { attribute: None })),
            field("raw", "$.raw", FieldKind::Json { attribute: None, path: None }),
            field("seen", "$.seen", date(None)),
            field(
                "variants",
                "$.variants",
                FieldKind::List {
                    element: Box::new(FieldKind::Text),
                    fields: vec![field("size", "$.size", FieldKind::Text)],
                },
            ),
        ],
    )];
    let page = json_page(
        &rules,
        r#"{"offers": [
            {"title": "A", "price": 3.5, "link": "/a", "tags": ["x", "y"], "variants": [{"size": 1}, {"size": "2 cm"}], "raw": {"k": [1]}, "seen": "2024-01-15"},
            {"title": 7, "price": "EUR 4,50", "tags": "solo", "variants": {"size": true}, "raw": null}
        ]}"#,
    );
    assert_eq!(
        json!(page.items),
        json!([
            {"_type": "thing", "title": "A", "price": 3.5, "link": "https://shop.example/a", "tags": ["x", "y"], "sizes": [1, 2],
             "raw": {"k": [1]}, "seen": "2024-01-15", "variants": [{"size": "1"}, {"size": "2 cm"}]},
            {"_type": "thing", "title": "7", "price": 4.5, "tags": ["solo"], "variants": [{"size": "true"}]},
        ])
    );
    assert_eq!(page.item_errors, []);
}

#[test]
fn a_page_that_says_it_is_json_and_is_not_is_an_item_error() {
    let rules = [of(Source::Json, "", vec![field("a", "$.a", FieldKind::Text)])];
    let page = json_page(&rules, "<html>");
    assert_eq!((page.items.len(), page.item_errors.len()), (0, 1));
    assert!(page.item_errors[0].message.starts_with("the page is not JSON"), "{:?}", page.item_errors);
    assert_eq!(items(&rules, "<p>HTML has no items of a rule for JSON"), json!([]));
}

#[test]
fn json_ld_is_taken_apart_and_what_is_broken_is_passed_over() {
    let html = r#"<script type="application/ld+json">[{"@type": "Product", "name": "Lamp", "image": ["/1.png", "/2.png"]}, 3]</script>
        <script type='application/ld+json'>{broken</script><script>{"@type": "Product", "name": "no"}</script>
        <script type="Application/LD+JSON; x=y">{"@context": "https://schema.org", "@graph": [{"@type": "Person", "name": "Jo"}, {"@type": "Product", "name": "Bed"}]}</script>"#;
    let fields = vec![
        field("name", "$.name", FieldKind::Text),
        field("image", "$.image", list(FieldKind::Url { attribute: None })),
    ];
    let products = [of(Source::JsonLd, "$[?@['@type'] == 'Product']", fields.clone())];
    assert_eq!(
        items(&products, html),
        json!([
            {"_type": "thing", "name": "Lamp", "image": ["https://shop.example/1.png", "https://shop.example/2.png"]},
            {"_type": "thing", "name": "Bed"}
        ])
    );
    let everything = [of(Source::JsonLd, "", fields)];
    assert_eq!(items(&everything, html).as_array().map(Vec::len), Some(3));
}

#[test]
fn open_graph_and_meta_are_one_object_each() {
    let html = r#"<html lang=de><head><title> A  title </title><meta property="og:title" content="T"><meta property="og:image" content="/a.png">
        <meta property="og:image" content="/b.png"><meta property="article:published_time" content="2024-01-15T10:00:00+01:00">
        <meta name="Description" content="D"><meta name="keywords" content="a, b"><link rel="shortlink canonical" href="/c#x">"#;
    let card = [of(
        Source::OpenGraph,
        "",
        vec![
            field("title", "$.title", FieldKind::Text),
            field("image", "$.image", FieldKind::Url { attribute: None }),
            field("images", "$.image", list(FieldKind::Text)),
            field("at", "$['article:published_time']", date(None)),
        ],
    )];
    assert_eq!(
        items(&card, html),
        json!([{"_type": "thing", "title": "T", "image": "https://shop.example/a.png", "images": ["/a.png", "/b.png"], "at": "2024-01-15T09:00:00Z"}])
    );
    let names = ["title", "description", "keywords", "lang", "canonical"];
    let head = [of(Source::Meta, "", names.map(|name| field(name, &format!("$.{name}"), FieldKind::Text)).into())];
    assert_eq!(
        items(&head, html),
        json!([{"_type": "thing", "title": "A title", "description": "D", "keywords": "a, b", "lang": "de", "canonical": "https://shop.example/c#x"}])
    );
}

#[test]
fn patterns_and_transforms_work_before_the_text_becomes_a_value() {
    let html = "<p class=n>Was $9, now $1,234.50!</p><time datetime=2024-01-15>mid January</time><i>15.01.24</i><b>b, a ,b</b>\
                <script class=s>{\"offer\": {\"price\": 5}}</script><a data-j='[1]' href=' /x '>Doe, Jo</a><a>Roe, Al</a>";
    let with = |mut field: Field, pattern: Option<&str>, transforms: Vec<Transform>| {
        field.pattern = pattern.map(str::to_owned);
        field.transforms = transforms;
        field
    };
    let own = |text: &str| text.to_owned();
    let json_at = |attribute: Option<&str>, path: Option<&str>| FieldKind::Json {
        attribute: attribute.map(str::to_owned),
        path: path.map(str::to_owned),
    };
    for (field, expected) in [
        (with(field("f", ".n", FieldKind::Number { attribute: None }), Some("now (.*)!"), vec![]), json!(1234.5)),
        (field("f", "time", date(None)), json!("2024-01-15")),
        (field("f", "i", FieldKind::Date { attribute: None, format: Some(own("%d.%m.%y")) }), json!("2024-01-15")),
        (field("f", "b", date(None)), Value::Null),
        (
            with(
                field("f", "b", FieldKind::Text),
                None,
                vec![Transform::Split(own(",")), Transform::Trim, Transform::Unique, Transform::Upper],
            ),
            json!(["B", "A"]),
        ),
        (
            with(
                field("f", "a", list(FieldKind::Text)),
                None,
                vec![Transform::Regex { find: own("^(.*), (.*)$"), with: own("$2 $1") }, Transform::Join(own("; "))],
            ),
            json!("Jo Doe; Al Roe"),
        ),
        (field("f", ".s", json_at(None, Some("$.offer.price"))), json!(5)),
        (field("f", ".s", json_at(None, Some("$.none"))), Value::Null),
        (field("f", "a", json_at(Some("data-j"), None)), json!([1])),
        (
            with(
                field("f", "a", FieldKind::Url { attribute: None }),
                None,
                vec![Transform::Trim, Transform::Prefix(own("/en"))],
            ),
            json!("https://shop.example/en/x"),
        ),
    ] {
        let rules = [rule("", vec![super::field("always", "time", FieldKind::Text), field.clone()])];
        assert_eq!(items(&rules, html)[0].get("f").unwrap_or(&Value::Null), &expected, "{field:?}");
    }
}

#[test]
fn an_item_error_says_what_stood_there_instead() {
    let needed = |selector: &str, kind: FieldKind, pattern: Option<&str>| {
        let mut field = field("f", selector, kind);
        field.required = true;
        field.pattern = pattern.map(str::to_owned);
        let page = extract(&[rule("div", vec![field])], &[], "<div><b>free</b><a>x</a></div>").unwrap();
        assert!(page.items.is_empty());
        page.item_errors[0].message.clone()
    };
    let number = || FieldKind::Number { attribute: None };
    for (message, word) in [
        (needed("i", FieldKind::Text, None), "nothing was found"),
        (needed("a", FieldKind::Url { attribute: None }, None), "no such attribute"),
        (needed("b", number(), None), "`free` is no number"),
        (needed("b", date(None), None), "`free` is no date"),
        (needed("b", FieldKind::Json { attribute: None, path: None }, None), "`free` is no JSON"),
        (needed("b", FieldKind::Text, Some("[0-9]+")), "the pattern does not occur in `free`"),
    ] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn an_item_that_breaks_its_schema_is_an_item_error() {
    let mut rule = rule("li", vec![field("n", "", FieldKind::Number { attribute: None })]);
    rule.schema = Some(json!({"properties": {"n": {"maximum": 5}}}));
    let page = extract(&[rule], &[], "<li>3<li>7<li>4").unwrap();
    assert_eq!(json!(page.items), json!([{"_type": "thing", "n": 3}, {"_type": "thing", "n": 4}]));
    assert_eq!(page.item_errors[0].field, "n");
    assert!(page.item_errors[0].message.starts_with("breaks the schema: "), "{:?}", page.item_errors);
}

#[test]
fn of_items_with_one_key_the_first_is_kept() {
    let mut rule = rule("li", vec![field("id", "b", FieldKind::Text), field("n", "i", FieldKind::Text)]);
    rule.key = vec!["id".to_owned()];
    let found = items(&[rule], "<li><b>1</b><i>x</i><li><b>2</b><li><b>1</b><i>y</i><li><i>no id</i><li><i>no id</i>");
    let found = found.as_array().unwrap();
    assert_eq!(
        found.iter().map(|item| item.get("id").unwrap_or(&Value::Null)).collect::<Vec<_>>(),
        [&json!("1"), &json!("2"), &Value::Null, &Value::Null]
    );
    assert_eq!(found[0]["n"], "x");
    assert_eq!(found[0]["_key"].as_str().map(str::len), Some(32));
    assert_eq!(found[2].get("_key"), None);
}
