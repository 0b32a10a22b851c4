"""Reads pages with parsel, html5lib and lxml, and compares every field with what `scrapering extract` reads.

An implementation of its own: nothing here is taken from the extractor but the meaning of the fields, as their documentation tells it.

usage: extract-oracle.py SCRAPERING SPEC.yaml PAGES FOLDER...
PAGES pages are taken evenly from the HTML files of all folders together.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

import html5lib
from parsel import Selector

BLOCKS = set(
    "address article aside blockquote br caption dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4"
    " h5 h6 header hr li main nav ol option p pre section summary table tbody td tfoot th thead tr ul".split()
)
HIDDEN = {"script", "style", "template"}
BASE = "https://docs.example/a/b/"


def parse(path):
    with open(path, "rb") as file:
        tree = html5lib.parse(file, treebuilder="lxml", namespaceHTMLElements=False)
    return Selector(root=tree.getroot(), type="html")


def text(node):
    pieces = []

    def walk(element, is_top):
        if not isinstance(element.tag, str):
            return
        if not is_top and element.tag in HIDDEN:
            return
        if not is_top and element.tag in BLOCKS:
            pieces.append("\n")
        pieces.append(element.text or "")
        for child in element:
            walk(child, False)
            pieces.append(child.tail or "")
        if not is_top and element.tag in BLOCKS:
            pieces.append("\n")

    walk(node.root, True)
    return " ".join("".join(pieces).split())


def absolute(written):
    """The URL Standard in small: a path is never empty, a host has small letters, and some characters are escaped."""
    scheme, host, path, query, fragment = urlsplit(urljoin(BASE, written.strip()))
    if scheme in ("http", "https"):
        host, path = host.lower(), path or "/"
    escape = {ord(char): f"%{ord(char):02X}" for char in ' "<>`'}
    whole = urlunsplit((scheme, host, path.translate(escape), query.translate(escape), fragment.translate(escape)))
    # urlunsplit loses an empty fragment.
    return whole + "#" if written.strip().endswith("#") else whole


def texts(page, css):
    return [text(node) for node in page.css(css)]


def attributes(page, css, name):
    return [node.attrib[name] for node in page.css(css) if name in node.attrib]


def rows(page):
    found = []
    for row in page.css("tr"):
        # A field is read from the first match, whether that has the attribute or not.
        link = urls(row, "a") if row.css("a") and {"href", "src"} & row.css("a")[0].attrib.keys() else []
        fields = {"head": first(texts(row, "th")), "cells": texts(row, "td"), "link": first(link)}
        found.append({name: value for name, value in fields.items() if value not in (None, [])})
    return [row for row in found if row]


def urls(page, css):
    found = []
    for node in page.css(css):
        written = node.attrib.get("href", node.attrib.get("src"))
        if written is not None:
            found.append(absolute(written))
    return found


def first(values):
    return values[0] if values else None


def item(page):
    titles = texts(page, "title")
    version = re.search(r"(\d+\.\d+)", titles[0]) if titles else None
    fields = {
        "title": first(titles),
        "loud": titles[0].upper().replace("PYTHON", "snake") if titles else None,
        "words": list(dict.fromkeys(titles[0].split(" "))) if titles else None,
        "version": version.group(1) if version else None,
        "lang": first(attributes(page, "html", "lang")),
        "headings": texts(page, "h1, h2, h3"),
        "anchors": attributes(page, "h1[id], h2[id], section[id], div[id], a[id]", "id"),
        "links": urls(page, "a[href]"),
        "images": urls(page, "img"),
        "second": first(texts(page, "body > :nth-child(2)")),
        "code": texts(page, "pre"),
        "joined": " | ".join(texts(page, "li > p:first-child")) or None,
        "rows": rows(page),
        "definition": definition(page),
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}


def definition(page):
    lists = page.css("dl")
    if not lists:
        return None
    fields = {"term": first(texts(lists[0], "dt")), "meaning": first(texts(lists[0], "dd"))}
    return {name: value for name, value in fields.items() if value is not None} or None


def same_html(path, inner):
    """Whether the markup of the first paragraph, parsed again, is the tree of that paragraph."""
    paragraph = first(parse(path).css("p"))
    if paragraph is None:
        return inner is None
    again = html5lib.parseFragment(inner or "", container="p", treebuilder="etree", namespaceHTMLElements=False)

    def shape(element):
        children = [(shape(child), child.tail or "") for child in element if isinstance(child.tag, str)]
        comments = "".join(child.tail or "" for child in element if not isinstance(child.tag, str))
        return (sorted(element.attrib.items()), element.text or "", comments, children)

    return shape(paragraph.root)[1:] == shape(again)[1:]


def extracted(scrapering, spec, path):
    command = [scrapering, "extract", spec, str(path), "--url", BASE, "--report"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(answer.stdout)
    assert len(report["items"]) <= 1 and not report["itemErrors"], f"{path}: {report['itemErrors']}"
    return report["items"][0] if report["items"] else {}


def difference(ours, theirs):
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        ours, theirs = next(pair for pair in zip(ours, theirs) if pair[0] != pair[1])
    return f"ours   {ours!r:.300}", f"theirs {theirs!r:.300}"


def main():
    scrapering, spec, count, *folders = sys.argv[1:]
    pages = []
    for folder in folders:
        found = sorted(path for path in Path(folder).rglob("*.html") if path.stat().st_size < 400_000)
        share = (int(count) - len(pages)) // (len(folders) - folders.index(folder))
        step = max(1, len(found) // share)
        pages += found[::step][:share]
    fields, values, wrong = 0, 0, 0
    for path in pages:
        ours, theirs = extracted(scrapering, spec, path), item(parse(path))
        ours.pop("_type", None)
        html = ours.pop("html", None)
        fields += 1
        if not same_html(path, html):
            wrong += 1
            print(f"{path}: html differs: {html!r:.200}")
        for name in sorted(ours.keys() | theirs.keys()):
            fields += 1
            values += len(theirs[name]) if isinstance(theirs.get(name), list) else 1
            if ours.get(name) != theirs.get(name):
                wrong += 1
                print(f"{path}: {name} differs", *difference(ours.get(name), theirs.get(name)), sep="\n  ")
    print(f"{len(pages)} pages, {fields} fields, {values} values, {wrong} fields differ")
    return 1 if wrong or len(pages) < int(count) else 0


if __name__ == "__main__":
    sys.exit(main())
