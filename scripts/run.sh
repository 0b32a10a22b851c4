#!/usr/bin/env bash
# What `make run` does once everything is built: opens the fixture web on loopback, runs examples/shop.yaml and
# examples/web.yaml on a five-node ring, and shows the first items. The web is closed again however the run ends.
set -euo pipefail

bin=${1:?usage: run.sh FOLDER-OF-THE-BINARIES}
data=.scrapering/run
port=8080
hosts=24 pages=5

work=$(mktemp -d)
web_pid=
close_web() {
    if [ -n "$web_pid" ]; then
        kill "$web_pid" 2>/dev/null || true
        wait "$web_pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap close_web EXIT

# open_web PORT: its own session, so that Ctrl-C pauses the job first and the web stays open until it has.
open_web() {
    : >"$work/web.out"
    setsid "$bin/fixture-web" --address 127.0.0.1 --address 127.0.0.2 --port "$1" --hosts "$hosts" --pages "$pages" \
        --products 200 --access-log "$work/access.jsonl" >"$work/web.out" 2>"$work/web.err" &
    web_pid=$!
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        web_port=$(sed -nE 's|^listening on .*:([0-9]+)/$|\1|p' "$work/web.out")
        [ -n "$web_port" ] && return 0
        kill -0 "$web_pid" 2>/dev/null || break
        sleep 0.1
    done
    wait "$web_pid" 2>/dev/null || true
    web_pid=
    return 1
}

if ! open_web "$port"; then
    echo "Port $port is taken; the web takes a free one instead."
    if ! open_web 0; then
        cat "$work/web.err" >&2
        exit 1
    fi
fi

# crawl NAME ITEMS: runs a job of examples/ on a ring of five nodes.
crawl() {
    local status=0
    sed "s|:$port/|:$web_port/|" "examples/$1.yaml" >"$work/$1.yaml"
    rm -f "$2"
    "$bin/scrapering" run "$work/$1.yaml" --nodes 5 --data "$data" --output "$2" --allow-private-cidr 127.0.0.0/8 \
        --resolve '*.ip0.web.test=127.0.0.1' --resolve '*.ip1.web.test=127.0.0.2' \
        --resolve 'rebinding.web.test=127.0.0.1,169.254.169.254' || status=$?
    if [ "$status" -ne 0 ]; then
        echo "The job did not complete (status $status). The web closes now; 'make run' begins anew." >&2
        exit "$status"
    fi
    echo
    echo "The first of $(wc -l <"$2") items in $2:"
    head -n 3 "$2"
    echo
}

# Each run starts from nothing: a finished job of the run before would have nothing left to do.
rm -rf "$data"
echo "A shop is open at http://127.0.0.1:$web_port/, and a web of $hosts hosts with everything that goes wrong out there."
crawl shop items.jsonl
crawl web pages.jsonl
echo "What the web's own access log says:"
"$bin/access-judge" "$work/access.jsonl" --web-hosts "$hosts" --web-pages "$pages" --web-addresses 2 \
    --shop-job examples/shop.yaml --web-job examples/web.yaml
