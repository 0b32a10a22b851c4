#!/usr/bin/env bash
# Says loudly which tests did nothing on this machine, and how many.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${KUBEBUILDER_ASSETS:-}" ]; then
  count=$(cat e2e/tests/kube*.rs | grep -c '^#\[tokio::test')
  cat >&2 <<WORDS

SKIPPED: $count tests of rings on a real API server did nothing, because KUBEBUILDER_ASSETS is unset.
         Set it to a folder with etcd, kube-apiserver and kube-controller-manager to run them.
WORDS
fi
if [ -z "${WYCHEPROOF:-}" ]; then
  cat >&2 <<WORDS

SKIPPED: the public JOSE vectors were not judged, because WYCHEPROOF is unset.
         Set it to a checkout of https://github.com/C2SP/wycheproof to judge them.
WORDS
fi
