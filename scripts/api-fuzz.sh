#!/usr/bin/env bash
# What `make api-fuzz` does once everything is built: a ring of three nodes, and thousands of calls that schemathesis makes
# of the OpenAPI document. Every answer must be as the document says, and none may be a fault of the server.
# shellcheck source=scripts/loopback.sh
source "$(dirname "$0")/loopback.sh"

bin=${1:?usage: api-fuzz.sh FOLDER-OF-THE-BINARIES [CALLS-OF-EACH-OPERATION] [SEED]}
calls=${2:-100}
seed=${3:-$((RANDOM * 32768 + RANDOM))}
here=$(cd "$(dirname "$0")" && pwd)
tool=schemathesis==4.32.5

venv "${tool//==/-}" "$tool"
open_ring "$bin" 3
echo "api-fuzz: seed $seed, up to $calls drawn calls of each operation"
cd "$work"
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance
checks+=,response_schema_conformance,ignored_auth,unsupported_method,allow_header_conformance,use_after_free
status=0
# Left out: followJob and watches wait until something happens (scripts/api_fuzz.py), and an answer that never ends cannot be judged.
# Asked again: who is refused before the whole body was read loses the connection, and may notice only with the next call.
fuzz() { # fuzz OPTIONS: some phases of the tool
    SCHEMATHESIS_HOOKS=api_fuzz PYTHONPATH="$here" "$venv/bin/schemathesis" run "$RING/openapi.json" \
        --tls-verify "$CA" --header "Authorization: Bearer $TOKEN" --checks "$checks" --seed "$seed" --workers 1 \
        --request-timeout 60 --request-retries 2 --continue-on-failure --no-color --warnings off --suppress-health-check all \
        --exclude-operation-id followJob "$@" || status=$?
}
# Every border of every field of a whole job would be tens of thousands of calls: bodies with a job's rules are only drawn.
jobs=(createJob validateJob testExtract scrapePage)
fuzz --phases coverage "${jobs[@]/#/--exclude-operation-id=}"
fuzz --phases fuzzing,stateful --max-examples "$calls"
answered=$(curl --silent --fail --cacert "$CA" --header "Authorization: Bearer $TOKEN" "$RING/metrics" |
    awk '/^scrapering_http_requests_total/ { calls += $NF; if ($0 ~ /status="5/) faults += $NF } END { print calls + 0, faults + 0 }')
echo "api-fuzz: ${answered% *} calls were answered, ${answered#* } of them with a fault of the server (5xx)"
kill -0 "$ring_pid" || { cat "$work/up.err" >&2; echo "api-fuzz: the ring is gone" >&2; exit 1; }
if grep -q panicked "$work/up.err"; then
    grep -A5 panicked "$work/up.err" >&2
    exit 1
fi
exit "$status"
