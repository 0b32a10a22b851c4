"""Reads an exported archive with warcio, and holds it to its index and to the access log of the site.

usage: warc-oracle.py FOLDER ACCESS_LOG
"""

import collections
import json
import pathlib
import sys
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator


def main(folder, access_log):
    kinds, bodies, revisits, paths = collections.Counter(), {}, [], set()
    for path in sorted(pathlib.Path(folder).glob("*.warc.gz")):
        with open(path, "rb") as file:
            records = ArchiveIterator(file, check_digests="raise")
            for record in records:
                kinds[record.rec_type] += 1
                head = record.rec_headers
                content = record.content_stream().read()
                if record.rec_type in ("response", "revisit"):
                    paths.add(urlsplit(head["WARC-Target-URI"]).path)
                    assert record.http_headers.get_statuscode() == "200", head
                if record.rec_type == "response":
                    assert len(content) == int(record.http_headers["Content-Length"]), head
                    bodies[head["WARC-Record-ID"]] = head["WARC-Payload-Digest"]
                if record.rec_type == "revisit":
                    revisits.append((head["WARC-Refers-To"], head["WARC-Payload-Digest"]))
        index = path.with_name(path.name.replace(".warc.gz", ".cdxj"))
        lines = index.read_text().splitlines()
        assert lines == sorted(lines), index
        for line in lines:
            entry = json.loads(line.split(" ", 2)[2])
            with open(path, "rb") as file:
                file.seek(int(entry["offset"]))
                record = next(ArchiveIterator(file))
                assert record.rec_headers["WARC-Target-URI"] == entry["url"], line
    for refers_to, digest in revisits:
        assert bodies[refers_to] == digest, refers_to
    asked = [json.loads(line) for line in open(access_log)]
    answered = {entry["path"].split("?")[0] for entry in asked if entry["status"] == 200 and entry["path"] != "/robots.txt"}
    assert paths == answered, (paths ^ answered)
    assert kinds["request"] == kinds["metadata"] == kinds["response"] + kinds["revisit"] > 0, kinds
    print("warcio reads the same:", dict(kinds))


main(*sys.argv[1:])
