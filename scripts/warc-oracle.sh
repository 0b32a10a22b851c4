#!/usr/bin/env bash
# Crawls the fixture shop with a job that keeps its pages, exports them as WARC, and has an implementation in Python
# (warcio) read it: every record, every digest, every offset of the index.
# usage: warc-oracle.sh BIN
set -euo pipefail

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/oracle
if ! "$cache/venv/bin/python" -c 'import warcio' 2>/dev/null; then
    echo "oracle: installing warcio into $cache/venv"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" --quiet install warcio
fi

work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

# wait_for FILE PATTERN: until a line of the file matches.
wait_for() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        grep -qE "$2" "$1" 2>/dev/null && return 0
        sleep 0.1
    done
    cat "$1" >&2
    return 1
}

"$bin/fixture-shop" --listen 127.0.0.1:0 --access-log access.jsonl >shop.out 2>&1 &
pids+=($!)
wait_for shop.out '^listening on '
url=$(sed -n 's/^listening on //p' shop.out)
"$bin/scrapering" up --data ring --nodes 1 --allow-private-cidr 127.0.0.0/8 >up.out 2>&1 &
pids+=($!)
cat >job.yaml <<JOB
apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {name: archive}
spec:
  seeds: [{url: "$url"}]
  politeness: {delay: 5ms, concurrentRequestsPerHost: 4}
  limits: {maxPages: 200}
  outputs: [{ring: {storeBody: all}}]
JOB
for ((tries = 0; tries < 100; tries++)); do
    id=$("$bin/scrapering" job submit job.yaml --data ring 2>submit.err) && break
    sleep 0.3
done
[ -n "${id:-}" ] || { cat submit.err up.out >&2; exit 1; }
"$bin/scrapering" export "$id" --data ring --to archive --format warc
"$cache/venv/bin/warcio" check -v archive/warc/*.warc.gz
"$cache/venv/bin/python" "$here/warc-oracle.py" archive/warc access.jsonl
