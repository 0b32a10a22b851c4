//! XPath in the rules of a job: what each type of field reads of what was found, items, and links.

use scrapering_core::job::{Patterns, Transform};
use serde_json::json;

use super::*;

const SHOP: &str = "<base href=/shop/><ul><li class=item id=1><a href='lamp#x' rel=next>Red  \n <b>Lamp</b></a>\
    <span class=price>EUR 1.234,50</span><time datetime=2024-01-15>today</time><script>{\"k\": [1]}</script></li>\
    <li class=item id=2><a href=/desk title=' A   desk '>Desk</a><span class=price>99</span></li></ul>\
    <p>See <a href=more>more</a> or <a href=https://else.example/ rel='x nofollow'>else</a></p>";

fn item(fields: Vec<Field>) -> Value {
    let rules = [ExtractRule { base_selector: xpath("//li[1]"), ..rule(fields) }];
    let page = run(&rules, &[], SHOP, ENOUGH).expect("an honest page");
    assert_eq!(page.item_errors, []);
    page.items.first().map_or(Value::Null, |item| json!(item))
}

#[test]
fn each_type_of_field_reads_elements_texts_and_values() {
    let attribute = |name: &str| Some(name.to_owned());
    let number = || FieldKind::Number { attribute: None };
    let url = || FieldKind::Url { attribute: None };
    let date = || FieldKind::Date { attribute: None, format: None };
    let json_value = || FieldKind::Json { attribute: None, path: None };
    for (written, kind, expected) in [
        ("a", FieldKind::Text, json!("Red Lamp")),
        ("./a", FieldKind::Html, json!("Red  \n <b>Lamp</b>")),
        (".//a", FieldKind::Attribute("HREF".to_owned()), json!("lamp#x")),
        ("a", FieldKind::Attribute("title".to_owned()), Value::Null),
        ("a", url(), json!("https://shop.example/shop/lamp#x")),
        ("a/@href", url(), json!("https://shop.example/shop/lamp#x")),
        ("a/@href", FieldKind::Text, json!("lamp#x")),
        ("a/text()", FieldKind::Text, json!("Red")),
        ("a/text()", FieldKind::Html, json!("Red  \n ")),
        ("string(a)", FieldKind::Text, json!("Red Lamp")),
        ("normalize-space(a)", FieldKind::Html, json!("Red Lamp")),
        ("a/none", FieldKind::Text, Value::Null),
        ("string(none)", FieldKind::Text, Value::Null),
        ("span", number(), json!(1234.5)),
        ("span/text()", number(), json!(1234.5)),
        ("string-length(a/b)", number(), json!(4)),
        ("count(.//*) div 10", number(), json!(0.5)),
        ("1 div 0", number(), Value::Null),
        ("1 div 0", FieldKind::Text, json!("Infinity")),
        ("count(*)", FieldKind::Text, json!("4")),
        ("@id", number(), json!(1)),
        ("a", FieldKind::Number { attribute: attribute("href") }, Value::Null),
        ("boolean(a)", json_value(), json!(true)),
        ("a = 'x'", FieldKind::Text, json!("false")),
        ("script", json_value(), json!({"k": [1]})),
        ("string(script)", json_value(), json!({"k": [1]})),
        ("time", date(), json!("2024-01-15")),
        ("time/@datetime", date(), json!("2024-01-15")),
        ("string(time/@datetime)", date(), json!("2024-01-15")),
        ("a | time", list(FieldKind::Text), json!(["Red Lamp", "today"])),
        ("a/@*", list(FieldKind::Text), json!(["lamp#x", "next"])),
        ("//li/a/@href", list(url()), json!(["https://shop.example/shop/lamp#x", "https://shop.example/desk"])),
        ("//li/a/@title", list(FieldKind::Text), json!(["A desk"])),
        ("count(a)", list(number()), json!([1])),
        ("none", list(FieldKind::Text), Value::Null),
        ("a", FieldKind::Nested(vec![field("bold", "b", FieldKind::Text)]), json!({"bold": "Lamp"})),
        ("ancestor::ul", FieldKind::Nested(vec![field("n", "count(li)", number())]), json!({"n": 2})),
        (
            "../li",
            FieldKind::List {
                element: Box::new(FieldKind::Text),
                fields: vec![field("id", "@id", FieldKind::Text), field("price", "span", number())],
            },
            json!([{"id": "1", "price": 1234.5}, {"id": "2", "price": 99}]),
        ),
    ] {
        let found = item(vec![field("always", "@id", FieldKind::Text), field("f", written, kind.clone())]);
        assert_eq!(found.get("f").unwrap_or(&Value::Null), &expected, "{written} {kind:?}");
    }
}

#[test]
fn css_and_xpath_stand_side_by_side_in_one_item() {
    let css = |selector: &str| Some(Selector::Native(selector.to_owned()));
    let inside = FieldKind::Nested(vec![
        Field { selector: css("b"), ..field("css", "", FieldKind::Text) },
        field("xpath", "b", FieldKind::Text),
    ]);
    let rules = [ExtractRule {
        base_selector: css("li.item"),
        ..rule(vec![
            Field { selector: css("a"), ..field("css", "", inside.clone()) },
            field("xpath", "a", inside),
            field("place", "count(preceding-sibling::li) + 1", FieldKind::Number { attribute: None }),
        ])
    }];
    let page = run(&rules, &[], SHOP, ENOUGH).expect("an honest page");
    let lamp = json!({"css": "Lamp", "xpath": "Lamp"});
    assert_eq!(
        json!(page.items),
        json!([{"_type": "thing", "css": lamp, "xpath": lamp, "place": 1}, {"_type": "thing", "place": 2}])
    );
}

#[test]
fn patterns_transforms_defaults_and_required_mean_what_they_mean_with_css() {
    let mut upper = field("upper", "a/b/text()", FieldKind::Text);
    upper.transforms = vec![Transform::Upper];
    let mut cents = field("cents", "string(span)", FieldKind::Text);
    cents.pattern = Some(r",(\d+)".to_owned());
    let mut none = field("none", "string(none)", FieldKind::Text);
    none.default = Some(json!("nothing"));
    assert_eq!(
        item(vec![upper, cents, none]),
        json!({"_type": "thing", "upper": "LAMP", "cents": "50", "none": "nothing"})
    );

    let mut missing = field("missing", "normalize-space(none)", FieldKind::Text);
    missing.required = true;
    let rules = [ExtractRule { base_selector: xpath("//li"), ..rule(vec![missing]) }];
    let page = run(&rules, &[], SHOP, ENOUGH).expect("an honest page");
    assert_eq!((page.items.len(), page.item_errors.len()), (0, 2));
    assert_eq!(page.item_errors[0].message, "required, but nothing was found on the page");
}

#[test]
fn links_are_found_by_xpath_in_document_order_and_nofollow_is_kept() {
    let follow = |written: &str| FollowRule {
        selector: Selector::XPath(written.to_owned()),
        attribute: "href".to_owned(),
        allow: Patterns::default(),
        deny: Patterns::default(),
        label: 0,
        priority: 50,
        max_pages: None,
    };
    let links = |rules: &[FollowRule]| {
        let page = run(&[], rules, SHOP, ENOUGH).expect("an honest page");
        page.links.into_iter().map(|link| (link.url, link.rule)).collect::<Vec<_>>()
    };
    let [lamp, desk, more] = ["shop/lamp", "desk", "shop/more"].map(|path| format!("https://shop.example/{path}"));
    assert_eq!(links(&[follow("//a")]), [(lamp.clone(), 0), (desk.clone(), 0), (more.clone(), 0)]);
    assert_eq!(links(&[follow("//p/a/@href")]), [(more.clone(), 0)]);
    assert_eq!(links(&[follow("//a[@rel='next']/@href")]), [(lamp.clone(), 0)]);
    let css = FollowRule { selector: Selector::Native("li a".to_owned()), ..follow("") };
    let both = links(&[follow("//p//a"), css, follow("//a/@href")]);
    assert_eq!(both, [(lamp.clone(), 1), (desk, 1), (more, 0)], "the first rule that finds a link has it");
    assert_eq!(links(&[follow("//b/text()")]), [("https://shop.example/shop/Lamp".to_owned(), 0)]);
    assert_eq!(links(&[follow("//li[1]/a/b/../@href | //nothing")]), [(lamp, 0)]);
}

#[test]
fn the_same_expressions_serve_many_pages_and_threads() {
    let rules = CompiledExtract::compile(&[rule(vec![field("n", "count(//p)", FieldKind::Text)])], &[]).expect("rules");
    std::thread::scope(|scope| {
        for count in 1..=8 {
            let rules = &rules;
            scope.spawn(move || {
                let url = NormalizedUrl::parse("https://shop.example/").expect("a URL");
                let html = "<p>x</p>".repeat(count);
                let page = Page { body: html.as_bytes(), content_type: None, url: &url, label: 0 };
                let found = rules.page(page, ENOUGH).expect("an honest page");
                assert_eq!(found.items[0]["n"], json!(count.to_string()));
            });
        }
    });
}
