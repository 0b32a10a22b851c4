#!/usr/bin/env bash
# What `make run` does once everything is built: opens the fixture shop on loopback, runs examples/shop.yaml
# against a five-node ring, and shows the first items. The shop is closed again however the run ends.
set -euo pipefail

bin=${1:?usage: run-shop.sh FOLDER-OF-THE-BINARIES}
job=examples/shop.yaml
items=items.jsonl
data=.scrapering/shop
port=8080

# What the judge holds the ring to is what the job itself asks for.
delay_ms=$(sed -nE 's/^ +delay: *([0-9]+)ms$/\1/p' "$job")
open_requests=$(sed -nE 's/^ +concurrentRequestsPerHost: *([0-9]+)$/\1/p' "$job")
if [ -z "$delay_ms" ] || [ -z "$open_requests" ]; then
    echo "$job must say politeness.delay in ms and politeness.concurrentRequestsPerHost" >&2
    exit 1
fi

work=$(mktemp -d)
shop_pid=
close_shop() {
    if [ -n "$shop_pid" ]; then
        kill "$shop_pid" 2>/dev/null || true
        wait "$shop_pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap close_shop EXIT

# open_shop PORT: its own session, so that Ctrl-C pauses the job first and the shop stays open until it has.
open_shop() {
    : >"$work/shop.out"
    setsid "$bin/fixture-shop" --listen "127.0.0.1:$1" --access-log "$work/access.jsonl" \
        >"$work/shop.out" 2>"$work/shop.err" &
    shop_pid=$!
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        shop_url=$(sed -n 's/^listening on //p' "$work/shop.out")
        [ -n "$shop_url" ] && return 0
        kill -0 "$shop_pid" 2>/dev/null || break
        sleep 0.1
    done
    wait "$shop_pid" 2>/dev/null || true
    shop_pid=
    return 1
}

if ! open_shop "$port"; then
    echo "Port $port is taken; the shop takes a free one instead."
    if ! open_shop 0; then
        cat "$work/shop.err" >&2
        exit 1
    fi
    sed "s|http://127\.0\.0\.1:$port/|$shop_url|g" "$job" >"$work/shop.yaml"
    job=$work/shop.yaml
fi
echo "The shop is open at $shop_url"

# Each run starts from nothing: a finished job of the run before would have nothing left to do.
rm -rf "$data"
rm -f "$items"
status=0
"$bin/scrapering" run "$job" --nodes 5 --data "$data" --output "$items" --allow-private-cidr 127.0.0.0/8 || status=$?
if [ "$status" -ne 0 ]; then
    echo "The job did not complete (status $status). The shop closes now; 'make run' begins anew." >&2
    exit "$status"
fi

echo
echo "The first of $(wc -l <"$items") items in $items:"
head -n 3 "$items"
echo
echo "What the shop's own access log says:"
"$bin/access-judge" "$work/access.jsonl" --max-in-flight "$open_requests" --min-gap-ms "$delay_ms"
