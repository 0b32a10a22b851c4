//! Location paths: axes, tests of nodes, predicates and abbreviations (XPath 1.0, section 2).

use super::*;

#[test]
fn each_axis_finds_its_nodes_in_document_order() {
    for (written, expected) in [
        ("//*[@id='d']/self::*", "d"),
        ("//*[@id='d']/self::p", "d"),
        ("//*[@id='d']/self::i", ""),
        ("//*[@id='a']/child::*", "b d"),
        ("//*[@id='a']/child::p", "b d"),
        ("//*[@id='a']/descendant::*", "b c d"),
        ("//*[@id='a']/descendant-or-self::*", "a b c d"),
        ("//*[@id='c']/parent::*", "b"),
        ("//*[@id='c']/parent::div", ""),
        ("//*[@id='c']/ancestor::*", "html body a b"),
        ("//*[@id='c']/ancestor-or-self::*", "html body a b c"),
        ("//*[@id='h']/following-sibling::*", "i"),
        ("//*[@id='h']/preceding-sibling::*", "g"),
        ("//*[@id='c']/following::*", "d e f g h i"),
        ("//*[@id='d']/preceding::*", "head title b c"),
        ("//*[@id='a']/following::li", "g h i"),
        ("/child::html/child::body/child::div", "a e"),
    ] {
        assert_eq!(ids(PAGE, written), expected, "{written}");
    }
    for (written, expected) in [
        ("//*[@id='d']/attribute::*", "d|n|t"),
        ("//*[@id='d']/attribute::title", "t"),
        ("//*[@id='d']/@name", "n"),
        ("//@class", "x y|x"),
        ("//@id[.='c']/../text()", "two"),
        ("//*[@id='b']/text()", "one|three"),
        ("//comment()", "note"),
        ("//*[@id='a']/comment()/following-sibling::p/text()", "four"),
    ] {
        assert_eq!(texts(PAGE, written), expected, "{written}");
    }
}

#[test]
fn axes_from_several_nodes_give_each_node_once_and_in_document_order() {
    for (written, expected) in [
        ("//*/descendant::li", "g h i"),
        ("//*/ancestor::*", "html head body a b e f"),
        ("//li/ancestor-or-self::*", "html body e f g h i"),
        ("//li/parent::*", "f"),
        ("//li/preceding-sibling::*", "g h"),
        ("//li/following-sibling::*", "h i"),
        ("//p/following::*", "d e f g h i"),
        ("//p/preceding::*", "head title b c"),
        ("//*/child::li | //i | //li", "c g h i"),
        ("//i/following::p | //title", "title d"),
        ("//li/ancestor::div/descendant-or-self::*", "e f g h i"),
    ] {
        assert_eq!(ids(PAGE, written), expected, "{written}");
    }
}

#[test]
fn axes_of_attributes_and_texts_begin_where_these_stand() {
    for (written, expected) in [
        ("//*[@id='b']/@id/parent::*", "b"),
        ("//*[@id='b']/@id/ancestor::*", "html body a b"),
        ("//*[@id='b']/@id/following::*", "c d e f g h i"),
        ("//*[@id='b']/@id/preceding::*", "head title"),
        ("//*[@id='b']/@id/following-sibling::*", ""),
        ("//*[@id='b']/@id/descendant-or-self::*", ""),
        ("//*[@id='b']/@id/self::*", ""),
        ("//text()[.='three']/preceding-sibling::*", "c"),
        ("//text()[.='one']/following::*", "c d e f g h i"),
        ("//comment()/following::*", "d e f g h i"),
    ] {
        assert_eq!(ids(PAGE, written), expected, "{written}");
    }
    assert_eq!(texts(PAGE, "//*[@id='d']/@title/self::node()"), "t");
    assert_eq!(value(PAGE, "count(//@*/ancestor-or-self::node()) = count(//@*/..  | //@* | /)"), "true");
}

#[test]
fn positions_count_along_the_axis_and_in_brackets_in_document_order() {
    for (written, expected) in [
        ("//li[1]", "g"),
        ("//li[last()]", "i"),
        ("//li[position() = 2]", "h"),
        ("//li[position() != last()]", "g h"),
        ("//li[position() mod 2 = 1]", "g i"),
        ("//p[2]", "d"),
        ("//*[@id='d']/preceding::*[1]", "c"),
        ("//*[@id='d']/preceding::*[2]", "b"),
        ("(//*[@id='d']/preceding::*)[1]", "head"),
        ("//*[@id='c']/ancestor::*[1]", "b"),
        ("//*[@id='c']/ancestor::*[last()]", "html"),
        ("(//*[@id='c']/ancestor::*)[1]", "html"),
        ("//*[@id='c']/ancestor-or-self::*[1]", "c"),
        ("//*[@id='c']/ancestor::*[position() < 3]", "a b"),
        ("//*[@id='i']/preceding-sibling::li[1]", "h"),
        ("//*[@id='i']/preceding-sibling::li[last()]", "g"),
        ("//*[@id='g']/following-sibling::li[1]", "h"),
        ("//div/*[1]", "b f"),
        ("(//div/*)[1]", "b"),
        ("//div/descendant::*[2]", "c g"),
        ("//li[. > 1][1]", "h"),
        ("//li[1][. > 1]", ""),
        ("//li[2][last()]", "h"),
        ("//li[last() - 1]", "h"),
        ("//li[1.5]", ""),
        ("//li[0]", ""),
        ("//li[-1]", ""),
        ("//li[number('2')]", "h"),
        ("//li['']", ""),
        ("//li['x']", "g h i"),
        ("//li[true()]", "g h i"),
        ("//li[preceding-sibling::*[1][@id='g']]", "h"),
        ("//*[li[2]]", "f"),
        ("//*[p[@title]/@name = 'n']", "a"),
        ("//div[position() = last()]//li[position() = last()]", "i"),
        ("//*[position() = 1 and self::i]", "c"),
    ] {
        assert_eq!(ids(PAGE, written), expected, "{written}");
    }
}

#[test]
fn abbreviations_mean_their_long_forms() {
    for (short, long) in [
        ("//li", "/descendant-or-self::node()/child::li"),
        ("//li[1]", "/descendant-or-self::node()/child::li[1]"),
        ("body//i", "child::body/descendant-or-self::node()/child::i"),
        (".//p", "self::node()/descendant-or-self::node()/child::p"),
        ("//i/..", "/descendant-or-self::node()/child::i/parent::node()"),
        ("//p[@title]", "//p[attribute::title]"),
        ("//*[.='two']", "//*[self::node()='two']"),
        ("(//p)//i", "(//p)/descendant-or-self::node()/i"),
    ] {
        assert_eq!(ids(PAGE, short), ids(PAGE, long), "{short}");
        assert!(!ids(PAGE, short).is_empty(), "{short}");
    }
}

#[test]
fn a_page_is_seen_from_its_root_element_and_a_slash_leads_to_the_document() {
    assert_eq!(ids(PAGE, "."), "html");
    assert_eq!(ids(PAGE, "body"), "body");
    assert_eq!(ids(PAGE, "html"), "");
    assert_eq!(ids(PAGE, "/html"), "html");
    assert_eq!(ids(PAGE, "/"), "html", "the document is read as its root element");
    assert_eq!(value(PAGE, "count(/node())"), "1", "a doctype is no node");
    assert_eq!(value(PAGE, "count(/..)"), "0");
    assert_eq!(value("<!--before--><p>x", "count(/node())"), "2");
}

#[test]
fn names_are_those_of_lxml() {
    let html = "<svg id=s viewBox=1 xlink:href=u><linearGradient id=l></linearGradient><foreignObject id=o><P id=p>x</P></foreignObject>\
        </svg><template id=t><b id=u>in</b></template><x-y id=v></x-y>";
    for (written, expected) in [
        ("//p", "p"),
        ("//P", ""),
        ("//lineargradient", "l"),
        ("//linearGradient", ""),
        ("//svg[@viewbox]", "s"),
        ("//svg[@viewBox]", ""),
        ("//*[name()='foreignobject']", "o"),
        ("//*[@*[name()='xlink:href'] = 'u']", "s"),
        ("//*[@href]", ""),
        ("//template/b", "u"),
        ("//x-y", "v"),
        ("//*[namespace-uri() != '']", ""),
    ] {
        assert_eq!(ids(html, written), expected, "{written}");
    }
    assert_eq!(value(html, "local-name(//svg/@*[starts-with(name(), 'xlink')])"), "xlink:href");
    assert_eq!(value(html, "count(//processing-instruction()) + count(//processing-instruction('x'))"), "0");
}
