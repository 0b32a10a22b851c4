#!/usr/bin/env bash
# For scripts that need a ring on loopback, to be sourced: open_ring BIN NODES [OPTIONS] sets RING, CA and TOKEN;
# open_shop BIN sets SITE, open_hook sets HOOK, where somebody takes every message. All of it, and the folder $work, are gone when the script ends.
set -euo pipefail

work=$(mktemp -d)
opened=()
close_all() {
    local pid
    for pid in "${opened[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap close_all EXIT

# Ports that nobody has, one after the other: for gateways, and for the ring above them.
free_ports() {
    python3 - <<'EOF'
import random, socket
def free(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0
print(next(base for base in iter(lambda: random.randrange(20000, 30000, 20), None) if all(map(free, range(base, base + 20)))))
EOF
}

open_ring() {
    local bin=$1 nodes=$2 port
    shift 2
    port=$(free_ports)
    "$bin/scrapering" up --nodes "$nodes" --data "$work/ring" --gateway "127.0.0.1:$port" --ring-port "$((port + 10))" "$@" \
        >"$work/up.out" 2>"$work/up.err" &
    ring_pid=$!
    opened+=("$ring_pid")
    export RING=https://127.0.0.1:$port CA=$work/ring/ca.pem
    until [ -s "$work/ring/token" ] && curl --silent --fail --cacert "$CA" "$RING/readyz" >/dev/null; do
        kill -0 "$ring_pid" 2>/dev/null || { cat "$work/up.err" >&2; exit 1; }
        sleep 0.2
    done
    TOKEN=$(cat "$work/ring/token")
    export TOKEN
}

open_shop() {
    local bin=$1 shop_pid
    "$bin/fixture-shop" --listen 127.0.0.1:0 --access-log "$work/access.jsonl" >"$work/shop.out" 2>"$work/shop.err" &
    shop_pid=$!
    opened+=("$shop_pid")
    until SITE=$(sed -n 's/^listening on //p' "$work/shop.out") && [ -n "$SITE" ]; do
        kill -0 "$shop_pid" 2>/dev/null || { cat "$work/shop.err" >&2; exit 1; }
        sleep 0.1
    done
    export SITE
}

open_hook() {
    python3 - >"$work/hook.out" <<'EOF' &
import http.server
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
taker = http.server.HTTPServer(("127.0.0.1", 0), Taker)
print(f"http://127.0.0.1:{taker.server_port}/", flush=True)
taker.serve_forever()
EOF
    opened+=("$!")
    until HOOK=$(cat "$work/hook.out") && [ -n "$HOOK" ]; do
        sleep 0.1
    done
    export HOOK
}

# venv NAME PACKAGES: a Python environment in the cache folder with exactly these, made once.
venv() {
    venv=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/tools/venv-$1
    shift
    if [ ! -f "$venv/complete" ]; then
        echo "getting $* (once)"
        python3 -m venv "$venv"
        "$venv/bin/pip" --quiet --disable-pip-version-check install "$@"
        touch "$venv/complete"
    fi
}
