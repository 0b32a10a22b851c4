"""Evaluates XPath with lxml (libxml2) and with `scrapering extract` on the same pages, and compares what both find.

A table of expressions, then expressions drawn by a seed. Sets of nodes are compared by the number that every element of a page carries, by the texts
of their other nodes, by their size and by their string value; other values by their text.

Where libxml2 deviates from the recommendation of 1999, or from what an HTML page says, the expressions leave it out:
- `following::` from an attribute skips the content of its element there; section 5 puts that content after the attribute.
- Texts such as `1e3` are numbers there; section 4.4 knows no exponents. Large and small numbers are written with exponents there, against section 4.2.
- lang() looks for `xml:lang` alone there, and an HTML page says `lang`.
- id() finds `<a name>` there.
- position() and last() are errors there outside of predicates.

usage: xpath-oracle.py SCRAPERING EXPRESSIONS [SEED]
"""

import json
import math
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lxml import etree
from lxml import html as parser

# The parsers of both sides agree on pages without gaps between the outer elements; attributes are in alphabetical order, as they are on our side.
PAGES = [
    "<!DOCTYPE html><html lang=en><head><title>Things</title></head><body><div class='x y' id=a><p id=b>one<i id=c>two</i>three</p><!--note-->"
    "<p id=d title=t>four</p></div><div class=x id=e><ul id=f><li id=g>1</li><li id=h>2</li><li class=x id=i>30</li></ul></div></body></html>",
    "<html><head><title>Shop</title><meta content='a b' name=k></head><body><h1>All  the\n lamps</h1><table><tbody><tr><th>Name</th><th>Price</th></tr>"
    "<tr class=x><td>Red <b>lamp</b></td><td>12.50</td></tr><tr><td>Blue lamp</td><td> 7 </td></tr><tr class='x last'><td>Desk</td><td>-3</td></tr></tbody>"
    "</table><!-- end --><p>See <a href='/a?b=1' rel=next>next</a>, <a href='/c'>c</a> or <a href='http://else.example/'>else</a>.</p></body></html>",
    "<html><head><title></title></head><body>" + "<div class=d>" * 5 + "<span>deep</span>" + "<b>5</b></div><i>x</i>" * 5 + "<p></p><p>é ü ß</p>"
    "<ul><li><ul><li>1<li>2</ul></li><li>3<ol><li>4</li></ol></li></ul><p>\u00a0</p></body></html>",
    "<html id=r><head><title>t</title></head><body><dl><dt>a</dt><dd>1</dd><dt>b</dt><dd>2</dd><dd>2</dd></dl><div></div><!--c1--><!--c2-->"
    "<section id=s><h2>H</h2>text<br>more<br>end<h2>H</h2></section><section class=x><h2>I</h2><p>x<em>y</em>z</p></section></body></html>",
]

TABLE = r"""
/ | //* | //node() | //text() | //comment() | //@* | . | .. | ./* | .//* | */* | /* | /html | /html/body | html | body | //. | //.. | //../@* | //*/.
//p | //P | //li[1] | //li[last()] | (//li)[1] | (//li)[last()] | //li[position()=2] | //li[position()!=last()] | //*[1] | //*[2][1] | //*[last()-1]
//*[self::p or self::li] | //p/self::* | //p/child::node() | //li/parent::* | //li/.. | //li/../.. | //i/ancestor::* | //i/ancestor-or-self::*
//i/ancestor::*[1] | //i/ancestor::*[last()] | (//i/ancestor::*)[1] | //i/ancestor::node() | //p/descendant::node() | //div/descendant-or-self::*
//p/following::* | //p/preceding::* | //p/following::*[1] | //p/preceding::*[1] | //p/preceding::*[2] | (//p/preceding::*)[1] | //text()/following::*[1]
//li/following-sibling::* | //li/preceding-sibling::* | //li/preceding-sibling::*[1] | //li/following-sibling::*[last()] | //text()/preceding-sibling::node()
//comment()/following-sibling::node()[1] | //comment()/preceding::text()[1] | //@class/.. | //@class/parent::* | //@id/ancestor::* | //@id/preceding::*
//@id/self::node() | //@id/self::* | //@id/descendant-or-self::node() | //@id/ancestor-or-self::node() | //@*[1] | //@*[last()] | //*[@*][2] | //*[not(@*)]
//*[@class] | //*[@class='x'] | //*[contains(@class,'x')] | //*[@class!='x'] | //*[contains(concat(' ',@class,' '),' x ')] | //*[@id][@class] | //@href
//a[starts-with(@href,'/')]/@href | //a[@rel]/following-sibling::a | //tr[td] | //tr[th]/following-sibling::tr | //tr[td[2]>0] | //td[.>0] | //td[1]
//tr[last()]/td[last()] | //td[../@class='x'] | //tr[not(@class)] | //*[text()] | //*[text()='x'] | //*[.='x'] | //*[text()[2]] | //*[node()[3]]
//*[count(*)=2] | //*[count(*)>count(ancestor::*)] | //*[*[2]] | //*[string-length()<3] | //*[string-length(name())=2] | //*[name()='p'] | //*[local-name()='li']
//*[normalize-space()=''] | //*[.=preceding::*] | //*[.=following-sibling::*] | //*[@id=//p/@id] | //*[position() mod 2=0] | //li[position()>1][1] | //li[1][.>0]
id('d') | id('d g') | id(//li/@id) | id('none') | //p | //i | //li | //none | //p[1]|//i[1]|//li[1] | //h2/following-sibling::node()[position()<3]
//*[lang('zz')] | //li[//p] | //*[//none] | //p[../i] | //div//div//* | //ul//ul/li | //div/div[last()] | //*[preceding-sibling::*[2]][1] | //dl/dd[preceding-sibling::dt[1]='b']
//processing-instruction() | //processing-instruction('x') | //node()[self::text() or self::comment()] | //*[comment()] | /html/node() | /node()
(//li|//p)[2] | (//li|//p)[last()]/@id | (//p)/i | (//p)//i | ((//li))[2] | //li[(position()=1 or .=30)] | //li['x'] | //li[''] | //li[true()] | //li[0] | //li[1.5]
"""

VALUES = r"""
count(//*) ; count(//node()) ; count(//@*) ; count(//text()) ; count(/) ; count(/..) ; sum(//li) ; sum(//td) ; sum(//dd) ; sum(//none) ; string(//p) ; string() ; string(/)
string(//@class) ; name() ; name(//@*) ; name(//text()) ; local-name(//p) ; namespace-uri(//p) ; concat('a',1,true(),//li) ; concat(//p,'-',//i)
starts-with('abc','ab') ; starts-with('abc','') ; contains('abc','bc') ; contains('','a') ; contains('a','') ; substring-before('1999/04/01','/')
substring-before('abc','') ; substring-after('1999/04/01','19') ; substring-after('abc','') ; substring('12345',2,3) ; substring('12345',2) ; substring('12345',1.5,2.6)
substring('12345',0,3) ; substring('12345',0 div 0,3) ; substring('12345',1,0 div 0) ; substring('12345',-42,1 div 0) ; substring('12345',-1 div 0,1 div 0)
substring('12345',-1 div 0) ; substring('12345',4,9) ; substring('äöüß',2,2) ; substring('12345',0.5,1) ; substring('12345',1.4999,1) ; string-length('äöü') ; string-length()
normalize-space('  a   b  ') ; normalize-space() ; normalize-space(//h1) ; translate('bar','abc','ABC') ; translate('--aaa--','abc-','ABC') ; translate('aba','aa','xy')
translate('ab','','x') ; translate(//p,'aeiou','') ; boolean(0) ; boolean('') ; boolean('false') ; boolean(//none) ; boolean(//p) ; boolean(0 div 0) ; not(1) ; true() ; false()
number('12') ; number(' -12.5 ') ; number('') ; number('.5') ; number('5.') ; number('.') ; number('-') ; number('1 2') ; number('+1') ; number('0x10') ; number(true()) ; number(//td[2])
number(//none) ; floor(2.6) ; floor(-2.5) ; ceiling(2.2) ; ceiling(-2.5) ; round(2.5) ; round(2.4) ; round(-2.5) ; round(-2.6) ; 1 div round(-0.2) ; 1 div ceiling(-0.2) ; round(1 div 0)
1+2*3 ; (1+2)*3 ; 10-2-3 ; 8 div 2 div 2 ; 2*-3 ; --3 ; 1 - -1 ; 5 mod 2 ; 5 mod -2 ; -5 mod 2 ; -5 mod -2 ; 5.5 mod 2 ; 5 mod 0 ; 1 div 0 ; -1 div 0 ; 0 div 0 ; 1=1=1 ; 3>2>1 ; 1<2=true()
true() or false() and false() ; '' or 0 ; //li*2 ; -//li ; 1='1' ; 1='1.0' ; '1'='1.0' ; true()='x' ; true()=5 ; false()=0 ; true()>0 ; '2'>'10' ; 'a'<'b' ; 0 div 0=0 div 0 ; 0 div 0!=0 div 0
//li=2 ; 2=//li ; //li!=2 ; //li>29 ; 30>//li ; 1>//li ; //li>=30 ; //li<=1 ; //none='' ; //none!='' ; //none<1 ; //none=false() ; //none!=true() ; //li=true() ; //none<true() ; //li=//li[2]
//li!=//li ; //li<//li ; //li[1]<//li[1] ; //li<=//li ; //li>//li[3] ; //li=//none ; //none=//none ; //p<//li ; //p!=//p ; //dd=//dd[2] ; //h2[1]!=//h2[2] ; //@id='c' ; //text()='two'
string(1.0) ; string(-1.50) ; string(-0) ; string(1=2) ; string(123456789012) ; string(0.5) ; count(id('d')) ; last() ; position() ; -(1.5 - .5) ; not(//li=4) ; "it's" ; "a"='a'
"""

NAMES = ["p", "li", "div", "ul", "i", "b", "td", "tr", "a", "h2", "dd", "span", *["*"] * 10, "none"]
AXES = ["child", "descendant", "descendant-or-self", "parent", "ancestor", "ancestor-or-self", "following", "following-sibling", "preceding", "preceding-sibling", "self"]
TEXTS = ["''", "'x'", "'a'", "'1'", "' 2 '", "'lamp'", "'two'", "'d g'", "'é'", "'-3'"]


class Drawer:
    """Draws expressions of a type; what is within gets smaller."""

    def __init__(self, dice):
        self.dice = dice

    def pick(self, *choices):
        return self.dice.choice(choices)

    def nodes(self, size):
        if size > 1 and self.dice.random() < 0.15:
            return f"{self.nodes(size - 1)} | {self.nodes(size - 1)}"
        if size > 1 and self.dice.random() < 0.15:
            return f"({self.nodes(size - 1)}){self.predicates(size - 1)}{self.pick('/', '//')}{self.steps(size)}"
        if self.dice.random() < 0.05:
            return f"id({self.text(size - 1)})"
        return self.pick("/", "//", "//", "//", "", ".//") + self.steps(size)

    def steps(self, size):
        steps = [self.step(size) for _ in range(self.dice.randint(1, 3))]
        path = steps[0]
        if self.dice.random() < 0.1:
            steps.append("@" + self.pick("*", "class", "id", "href") + self.predicates(size))
        elif self.dice.random() < 0.1:
            steps.append(self.pick("text()", "comment()", "node()") + self.predicates(size))
        for step in steps[1:]:
            path += self.pick("/", "/", "//") + step
        return path

    def step(self, size):
        if self.dice.random() < 0.1:
            return self.pick(".", "..")
        axis = self.pick("", "", "", self.dice.choice(AXES) + "::")
        test = self.pick("node()", "text()") if axis and self.dice.random() < 0.15 else self.dice.choice(NAMES)
        return axis + test + self.predicates(size)

    def predicates(self, size):
        if size <= 0:
            return ""
        return "".join(f"[{self.predicate(size - 1)}]" for _ in range(self.pick(0, 0, 0, 1, 1, 2)))

    def predicate(self, size):
        kind = self.dice.randint(0, 5)
        if kind == 0:
            return str(self.dice.randint(1, 3))
        if kind == 1:
            return self.pick("last()", "position() > 1", "position() = last()", "position() mod 2 = 1", "last() - 1", "position() != 2")
        if kind == 2:
            return self.nodes(size) if size > 0 else self.pick("*", "@class", "text()", "..")
        return self.condition(size)

    def condition(self, size):
        if size <= 0:
            return self.pick("true()", "@class", "*", "not(*)", ". = 'x'", "position() = 1", "@id = 'd'", ". > 1")
        kind = self.dice.randint(0, 7)
        operator = self.pick("=", "!=", "<", "<=", ">", ">=")
        if kind == 0:
            return f"not({self.condition(size - 1)})"
        if kind == 1:
            return f"({self.condition(size - 1)} {self.pick('and', 'or')} {self.condition(size - 1)})"
        if kind == 2:
            return f"{self.pick('contains', 'starts-with')}({self.text(size - 1)}, {self.text(size - 1)})"
        if kind == 3:
            return f"{self.number(size - 1)} {operator} {self.number(size - 1)}"
        if kind == 4:
            return f"{self.text(size - 1)} {operator} {self.pick(self.text, self.number)(size - 1)}"
        if kind == 5:
            return f"{self.nodes(size - 1)} {operator} {self.pick(self.text, self.number, self.nodes)(size - 1)}"
        if kind == 6:
            return f"boolean({self.pick(self.text, self.number, self.nodes)(size - 1)})"
        return f"{self.nodes(size - 1)} {operator} {self.pick('true()', 'false()')}"

    def number(self, size):
        if size <= 0:
            return self.pick("0", "1", "2", "-1", "0.5", "position()", "last()", "count(*)", "string-length()", "number()")
        kind = self.dice.randint(0, 5)
        if kind == 0:
            return f"count({self.nodes(size - 1)})"
        if kind == 1:
            return f"sum({self.nodes(size - 1)})"
        if kind == 2:
            return f"({self.number(size - 1)} {self.pick('+', '-', '*', 'mod')} {self.number(size - 1)})"
        if kind == 3:
            return f"{self.pick('floor', 'ceiling', 'round', '-', 'number')}({self.number(size - 1)})"
        if kind == 4:
            return f"string-length({self.text(size - 1)})"
        return f"number({self.pick(self.text, self.nodes, self.condition)(size - 1)})"

    def text(self, size):
        if size <= 0:
            return self.pick("string()", "name()", "normalize-space()", "string(@class)", *TEXTS)
        kind = self.dice.randint(0, 7)
        if kind == 0:
            return f"string({self.pick(self.text, self.nodes, self.number, self.condition)(size - 1)})"
        if kind == 1:
            return f"concat({self.text(size - 1)}, {self.text(size - 1)})"
        if kind == 2:
            return f"substring({self.text(size - 1)}, {self.number(size - 1)}, {self.number(size - 1)})"
        if kind == 3:
            return f"{self.pick('substring-before', 'substring-after')}({self.text(size - 1)}, {self.text(size - 1)})"
        if kind == 4:
            return f"translate({self.text(size - 1)}, {self.text(size - 1)}, {self.text(size - 1)})"
        if kind == 5:
            return f"normalize-space({self.pick(self.text, self.nodes)(size - 1)})"
        if kind == 6:
            return f"{self.pick('name', 'local-name')}({self.nodes(size - 1)})"
        return self.dice.choice(TEXTS)

    def expression(self):
        size = self.dice.randint(0, 4)
        return self.pick(*[self.nodes] * 16, self.number, self.text, self.condition)(size)


def leaves_out(expression):
    """What the two sides are known to disagree about."""
    attribute_first = re.search(r"@[^/]*(?:\[[^\]]*\])?/{1,2}[^|]*following::", expression)
    return bool(attribute_first) or len(expression) > 900


def numbered(page):
    """The page with a number for each element, the same on both sides, and where lxml has it."""
    count = iter(range(1, 1000))
    # Names of attributes are in alphabetical order: `class`, `href` and `id` before `n`.
    def with_number(match):
        name, attributes = match.group(1), match.group(2)
        parts = re.findall(r"""[a-z]+=(?:'[^']*'|[^\s>]+)""", attributes) + [f"n={next(count)}"]
        return f"<{name} {' '.join(sorted(parts))}>"

    return re.sub(r"<([a-z][a-z0-9]*)((?:\s+[a-z]+=(?:'[^']*'|[^\s>]+))*)>", with_number, page)


def theirs(root, expression):
    """What lxml finds: elements by their numbers, texts of other nodes, size and string value."""
    try:
        found = root.xpath(expression)
    except etree.XPathEvalError as error:
        if "Invalid context" in str(error):
            return None
        raise
    if not isinstance(found, list):
        return {"value": root.xpath(f"string({expression})")}
    elements = [int(node.get("n")) for node in root.xpath(f"({expression})[self::*]")]
    others = [node.text if hasattr(node, "tag") else str(node) for node in root.xpath(f"({expression})[not(self::*)][parent::node()]")]
    count = root.xpath(f"count({expression})")
    return {"elements": elements, "others": others, "count": count, "value": root.xpath(f"string({expression})")}


def drawn(dice, root, count):
    """Expressions with what lxml finds; of those that find nothing only some."""
    drawer, known = Drawer(dice), []
    while len(known) < count:
        expression = drawer.expression()
        result = None if leaves_out(expression) else theirs(root, expression)
        if result is not None and (result.get("count", 1) or dice.random() < 0.1):
            known.append((expression, result))
    return known


def rule_fields(index, expression, is_set):
    fields = [{"name": f"value{index}", "xpath": f"string({expression})", "type": "html"}]
    if is_set:
        number = {"name": "n", "xpath": "@n", "type": "number"}
        fields += [
            {"name": f"elements{index}", "xpath": f"({expression})[self::*]", "type": "list", "fields": [number]},
            {"name": f"others{index}", "xpath": f"({expression})[not(self::*)][parent::node()]", "type": "list", "of": "html"},
            {"name": f"count{index}", "xpath": f"count({expression})", "type": "number"},
        ]
    return fields


def ours(scrapering, folder, page, asked):
    """What `scrapering extract` finds for a list of (expression, is it a set)."""
    fields = [field for index, pair in enumerate(asked) for field in rule_fields(index, *pair)]
    # An item needs a field even if nothing is found.
    fields.append({"name": "always", "xpath": "true()"})
    spec = folder / "spec.json"
    spec.write_text(json.dumps({"extract": [{"name": "page", "fields": fields}]}))
    command = [scrapering, "extract", str(spec), str(page), "--report", "--content-type", "text/html; charset=utf-8"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if not answer.stdout:
        sys.exit(f"scrapering extract: {answer.stderr}\n{[expression for expression, _ in asked]}")
    item = json.loads(answer.stdout)["items"][0]
    found = []
    for index, (_, is_set) in enumerate(asked):
        result = {"value": item.get(f"value{index}", "")}
        if is_set:
            result["elements"] = [element["n"] for element in item.get(f"elements{index}", [])]
            result["others"] = item.get(f"others{index}", [])
            result["count"] = item.get(f"count{index}")
        found.append(result)
    return found


def same(left, right):
    if left == right:
        return True
    try:
        pairs = [(float(left["value"]), float(right["value"]))]
    except ValueError:
        return False
    rest = {key for key in left if key != "value"} | {key for key in right if key != "value"}
    return all(math.isclose(a, b, rel_tol=1e-12) for a, b in pairs) and all(left.get(key) == right.get(key) for key in rest)


def main():
    scrapering, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)
    table = [part.strip() for line in TABLE.splitlines() for part in line.split(" | ") if part.strip()]
    table += [part.strip() for line in VALUES.splitlines() for part in line.split(" ; ") if part.strip()]
    wrong, compared, nodes = 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, page in enumerate(map(numbered, PAGES)):
            path = folder / f"page{number}.html"
            path.write_text(page)
            root = parser.document_fromstring(page.encode(), parser=parser.HTMLParser(encoding="utf-8"))
            known = [(expression, theirs(root, expression)) for expression in ["//node()", "//@*"] + table]
            known = [(expression, result) for expression, result in known if result is not None]
            known += drawn(random.Random(seed + number), root, count // len(PAGES))
            for begin in range(0, len(known), 25):
                part = known[begin : begin + 25]
                asked = [(expression, "count" in result) for expression, result in part]
                for (expression, expected), found in zip(part, ours(scrapering, folder, path, asked)):
                    compared += 1
                    nodes += int(expected.get("count", 0))
                    if not same(found, expected):
                        wrong += 1
                        print(f"page {number}: {expression}\n  ours   {found!r:.400}\n  theirs {expected!r:.400}")
    print(f"{len(table)} expressions of the table, {count} drawn (seed {seed}): {compared} comparisons, {nodes} nodes, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
