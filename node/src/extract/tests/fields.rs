//! What each kind of field reads.

use super::*;

#[test]
fn each_kind_of_field_reads_what_it_says() {
    let html = r##"<!doctype html><html lang=en><body>
        <div class=box id=B1 data-price="EUR 1.234,50"><h2>  Red
           <b>Lamp</b>&nbsp; </h2><p>a<br>b</p><p>c</p><script>var x</script>
        <a HREF="../x?q=1#f">more</a><img src=/i.png><i></i></div>"##;
    let attribute = |name: &str| Some(name.to_owned());
    for (selector, kind, expected) in [
        ("h2", FieldKind::Text, json!("Red Lamp")),
        ("", FieldKind::Text, json!("Red Lamp a b c more")),
        ("script", FieldKind::Text, json!("var x")),
        ("i", FieldKind::Text, json!("")),
        ("", FieldKind::Attribute("ID".to_owned()), json!("B1")),
        ("a", FieldKind::Attribute("title".to_owned()), Value::Null),
        ("p", FieldKind::Html, json!("a<br>b")),
        ("", FieldKind::Number { attribute: attribute("data-price") }, json!(1234.5)),
        ("h2", FieldKind::Number { attribute: None }, Value::Null),
        ("a", FieldKind::Url { attribute: None }, json!("https://shop.example/x?q=1#f")),
        ("img", FieldKind::Url { attribute: None }, json!("https://shop.example/i.png")),
        ("img", FieldKind::Url { attribute: attribute("src") }, json!("https://shop.example/i.png")),
        ("img", FieldKind::Url { attribute: attribute("href") }, Value::Null),
        ("p", FieldKind::List { element: Box::new(FieldKind::Text), fields: vec![] }, json!(["a b", "c"])),
        (
            "p",
            FieldKind::List { element: Box::new(FieldKind::Number { attribute: None }), fields: vec![] },
            Value::Null,
        ),
        (
            "a, img",
            FieldKind::List { element: Box::new(FieldKind::Url { attribute: None }), fields: vec![] },
            json!(["https://shop.example/x?q=1#f", "https://shop.example/i.png"]),
        ),
        ("h2", FieldKind::Nested(vec![field("bold", "b", FieldKind::Text)]), json!({"bold": "Lamp"})),
        ("p.none", FieldKind::Text, Value::Null),
    ] {
        let rules = [rule(".box", vec![field("always", "h2", FieldKind::Text), field("f", selector, kind.clone())])];
        let found = items(&rules, html);
        assert_eq!(found[0].get("f").unwrap_or(&Value::Null), &expected, "{selector} {kind:?}");
    }
}

#[test]
fn items_keep_the_order_of_the_page_and_fields_the_order_of_the_rule() {
    let rules = [rule("li", vec![field("z", "b", FieldKind::Text), field("a", "i", FieldKind::Text)])];
    let page = extract(&rules, &[], "<ul><li><b>1</b><i>x</i><li><i>y</i><b>2</b></ul>").unwrap();
    let written: Vec<String> = page.items.iter().map(|item| serde_json::to_string(item).unwrap()).collect();
    assert_eq!(written, [r#"{"_type":"thing","z":"1","a":"x"}"#, r#"{"_type":"thing","z":"2","a":"y"}"#]);
}

#[test]
fn a_rule_without_base_takes_the_page_as_one_item_and_may_look_at_html_itself() {
    let rules = [rule(
        "",
        vec![field("lang", "html", FieldKind::Attribute("lang".to_owned())), field("title", "title", FieldKind::Text)],
    )];
    assert_eq!(
        items(&rules, "<html lang=de><title>T</title>"),
        json!([{"_type": "thing", "lang": "de", "title": "T"}])
    );
    assert_eq!(items(&rules, "<p>nothing of the kind"), json!([]), "a page without any field is no item");
}

#[test]
fn a_missing_required_field_drops_the_item_and_says_which() {
    let mut price = field("price", ".p", FieldKind::Number { attribute: None });
    price.required = true;
    let rules = [rule("li", vec![field("n", "b", FieldKind::Text), price])];
    let page = extract(&rules, &[], "<li><b>x</b><i class=p>3</i><li><b>y</b><li><b>z</b><i class=p>free</i>").unwrap();
    assert_eq!(json!(page.items), json!([{"_type": "thing", "n": "x", "price": 3}]));
    assert_eq!(page.item_errors.len(), 2);
    assert_eq!(page.item_errors[0].rule, "thing");
    assert_eq!(page.item_errors[0].field, "price");
    assert!(page.item_errors[0].message.contains("required"));
}

#[test]
fn a_default_takes_the_place_of_what_was_not_found_and_satisfies_required() {
    let mut stock = field("stock", ".none", FieldKind::Number { attribute: None });
    stock.default = Some(json!({"n": 0}));
    stock.required = true;
    let rules = [rule("li", vec![stock])];
    let page = extract(&rules, &[], "<li>x").unwrap();
    assert_eq!(json!(page.items), json!([{"_type": "thing", "stock": {"n": 0}}]));
    assert_eq!(page.item_errors, []);
}

#[test]
fn lists_of_objects_drop_incomplete_rows_and_keep_the_rest() {
    let mut value = field("v", "td", FieldKind::Text);
    value.required = true;
    let rules = [rule(
        "",
        vec![field(
            "specs",
            "tr",
            FieldKind::List {
                element: Box::new(FieldKind::Text),
                fields: vec![field("k", "th", FieldKind::Text), value],
            },
        )],
    )];
    let page = extract(&rules, &[], "<table><tr><th>a<td>1<tr><th>head<tr><th>b<td>2</table>").unwrap();
    assert_eq!(json!(page.items), json!([{"_type": "thing", "specs": [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}]}]));
    assert_eq!(page.item_errors[0].field, "specs[1].v");
}

#[test]
fn a_selector_looks_below_the_item_and_knows_it_as_scope() {
    let rules = [rule("div", vec![field("own", ":scope > b", FieldKind::Text)])];
    assert_eq!(items(&rules, "<div><i><b>deep</b></i><b>own</b></div>"), json!([{"_type": "thing", "own": "own"}]));
}

#[test]
fn text_of_the_page_is_decoded_before_it_is_read() {
    let rules = [rule("", vec![field("t", "p", FieldKind::Text)])];
    let compiled = CompiledExtract::compile(&rules, &[]).unwrap();
    for (body, content_type, expected) in [
        (&b"<p>caf\xe9"[..], None, "café"),
        (b"<p>caf\xc3\xa9", None, "café"),
        (b"<meta charset=shift_jis><p>\x93\xfa\x96{", None, "日本"),
        (b"<p>\xcf\xf0\xe8\xe2\xe5\xf2", Some("text/html; charset=windows-1251"), "Привет"),
        (b"\xff\xfe<\0p\0>\0\xe9\0", Some("text/html"), "é"),
    ] {
        let page = compiled.page(Page { body, content_type, url: &url(), label: 0 }, CpuBudget::default()).unwrap();
        assert_eq!(page.items[0]["t"], json!(expected));
    }
}

#[test]
fn json_and_plain_text_have_no_items() {
    let rules = [rule("", vec![field("t", "p", FieldKind::Text)])];
    let compiled = CompiledExtract::compile(&rules, &[]).unwrap();
    for content_type in ["application/json", "text/plain; charset=utf-8", "application/ld+json"] {
        let page = compiled.page(
            Page { body: b"<p>x", content_type: Some(content_type), url: &url(), label: 0 },
            CpuBudget::default(),
        );
        assert_eq!(page, Ok(PageResult::default()), "{content_type}");
    }
}

#[test]
fn rules_that_cannot_be_used_are_refused_with_their_place() {
    let deep = (0..9).fold(FieldKind::Text, |inner, _| FieldKind::Nested(vec![field("f", "", inner)]));
    let list = |element| FieldKind::List { element: Box::new(element), fields: vec![] };
    for (rules, follow_rules, path, word) in [
        (vec![rule("div[", vec![])], vec![], "extract[0].baseSelector", "div["),
        (
            vec![
                rule("", vec![]),
                rule("", vec![field("a", "", FieldKind::Text), field("b", "::before", FieldKind::Text)]),
            ],
            vec![],
            "extract[1].fields[1].selector",
            "::before",
        ),
        (
            vec![rule("", vec![field("a", "", FieldKind::Nested(vec![field("b", ">>", FieldKind::Text)]))])],
            vec![],
            "extract[0].fields[0].fields[0].selector",
            "no CSS selector",
        ),
        (vec![rule("", vec![field("a", "", list(list(FieldKind::Text)))])], vec![], "extract[0].fields[0]", "list"),
        (vec![rule("", vec![field("a", "", deep)])], vec![], "extract[0].fields[0]", "deep"),
        (vec![], vec![follow("a"), follow("")], "follow[1].selector", "no CSS selector"),
        (vec![], vec![follow(&"a".repeat(2000))], "follow[0].selector", "2000 bytes"),
    ] {
        let error = CompiledExtract::compile(&rules, &follow_rules).unwrap_err();
        assert!(error.path.starts_with(path), "{error}");
        assert!(error.message.contains(word), "{error}");
    }
}

#[test]
fn compiled_rules_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<CompiledExtract>();
    fn sent<T: Send>() {}
    sent::<PageResult>();
}
