#!/usr/bin/env bash
# What `make doors` does once everything is built: a ring of three nodes and the fixture shop on loopback, and everything
# that docs/doors.md shows, with curl and over gRPC from Python.
# shellcheck source=scripts/loopback.sh
source "$(dirname "$0")/loopback.sh"

bin=${1:?usage: doors.sh FOLDER-OF-THE-BINARIES}
venv doors-2 grpcio==1.85.1 grpcio-tools==1.85.1 'pyjwt[crypto]==2.15.1' pyrage pyarrow
open_shop "$bin"
open_hook
open_ring "$bin" 3 --allow-private-cidr 127.0.0.0/8
sed "s|http://127\.0\.0\.1:8080/|$SITE|g" examples/shop.yaml >"$work/shop.yaml"
printf '  webhooks: [{url: "%s"}]\n  outputs: [{ring: {storeBody: all}}]\n' "$HOOK" >>"$work/shop.yaml"
sed "s|https://example\.org/|$SITE|g" examples/kubernetes/schedule.yaml >"$work/nightly.yaml"
"$venv/bin/python" -m grpc_tools.protoc -Iproto "--python_out=$work" "--grpc_python_out=$work" scrapering/gateway/v1/gateway.proto
"$venv/bin/python" scripts/doors.py docs/doors.md curl "$work"
"$venv/bin/python" scripts/doors.py docs/doors.md python "$work"
