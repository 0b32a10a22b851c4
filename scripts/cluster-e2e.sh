#!/usr/bin/env bash
# Installs the chart into a cluster, makes a ring and runs a job on it: from the images of this tree to `Complete`.
#
# The cluster is that of KUBECONFIG, which must have the images of dist/ (or IMAGES=registry/prefix); without KUBECONFIG one
# is made with kind and kind-config.yaml, and removed at the end. KEEP=1 leaves everything where it is.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/tools
namespace=scrapering-e2e
operator=scrapering-e2e-operator
release=scrapering
cluster=scrapering-e2e
images=${IMAGES:-ghcr.io/scrapering}
version=$(sed -nE 's/^appVersion: *(.*)$/\1/p' helm/Chart.yaml)
made_cluster=

skip() {
    printf '\n*** SKIPPED: nothing ran in a cluster: %s ***\n\n' "$*" >&2
    exit 0
}
step() { printf '\ncluster-e2e: %s\n' "$*"; }

clean_up() {
    local status=$?
    if [ "$status" -ne 0 ]; then
        step "failed; what was there at that moment:"
        kubectl get scraping,pods,pvc,pdb,events --namespace "$namespace" || true
        kubectl logs --namespace "$operator" "deployment/$release" --tail 50 || true
    fi
    [ -n "${KEEP:-}" ] && exit "$status"
    if [ -n "$made_cluster" ]; then
        kind delete cluster --name "$cluster"
    else
        kubectl delete namespace "$namespace" --ignore-not-found --timeout 5m || true
        "$helm" uninstall "$release" --namespace "$operator" --ignore-not-found || true
        kubectl delete namespace "$operator" --ignore-not-found --timeout 2m || true
    fi
    exit "$status"
}

make_cluster() {
    command -v kind >/dev/null || skip "KUBECONFIG is not set, and kind is not installed"
    docker info >/dev/null 2>&1 || podman info >/dev/null 2>&1 || skip "kind needs Docker or Podman"
    step "making a cluster of three machines in three zones"
    # Not before: where nothing is made nothing may be removed, least of all from the cluster that kubectl happens to know.
    trap clean_up EXIT
    made_cluster=1
    KUBECONFIG=$(mktemp)
    export KUBECONFIG
    kind create cluster --name "$cluster" --config kind-config.yaml --wait 3m
    local archive
    for archive in dist/scrapering.tar dist/scrapering-operator.tar dist/fixture-shop.tar; do
        [ -s "$archive" ] || make images
        kind load image-archive "$archive" --name "$cluster"
    done
}

install() {
    step "installing the chart"
    "$helm" upgrade --install "$release" helm --namespace "$operator" --create-namespace --wait --timeout 3m \
        --set "image.repository=$images/scrapering-operator,nodeImage.repository=$images/scrapering" \
        --set image.pullPolicy=IfNotPresent
    "$helm" test "$release" --namespace "$operator"
}

apply_ring() {
    step "making a ring of three"
    kubectl create namespace "$namespace" --dry-run=client --output yaml | kubectl apply -f -
    # The pods' own network is where the shop is; a real ring never needs this.
    local networks
    networks=$(kubectl get nodes --output jsonpath='{.items[*].spec.podCIDRs[0]}' | tr ' ' ',')
    kubectl apply --namespace "$namespace" -f - <<EOF
apiVersion: scrapering.io/v1alpha1
kind: ScrapeRing
metadata: {name: main}
spec:
  replicas: 3
  storage: {size: 1Gi, whenDeleted: Delete}
  scraping: {allowedPrivateCidrs: [${networks:-10.0.0.0/8}]}
  security: {networkPolicy: {webPorts: [80, 443, 8080]}}
EOF
    kubectl wait --namespace "$namespace" scrapering/main --for=condition=Ready --timeout 10m
}

open_shop() {
    step "opening a shop"
    kubectl apply --namespace "$namespace" -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: shop, labels: {app: shop}}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: shop
    image: $images/fixture-shop:$version
    args: [--listen, "0.0.0.0:8080", --products, "200"]
    ports: [{containerPort: 8080}]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
EOF
    kubectl wait --namespace "$namespace" pod/shop --for=condition=Ready --timeout 2m
}

run_job() {
    step "running a job"
    local shop
    shop=$(kubectl get pod shop --namespace "$namespace" --output jsonpath='{.status.podIP}')
    sed -E "s|http://127\.0\.0\.1:[0-9]+|http://$shop:8080|" examples/shop.yaml |
        kubectl apply --namespace "$namespace" -f -
    kubectl wait --namespace "$namespace" scrapejob/shop --for=condition=Complete --timeout 10m
    kubectl get --namespace "$namespace" sring,sjob
    [ "$(kubectl get scrapejob shop --namespace "$namespace" --output jsonpath='{.status.items}')" -gt 0 ]
    kubectl delete scrapejob shop --namespace "$namespace" --timeout 2m
}

scale() {
    step "scaling to five and back to three"
    kubectl scale scrapering main --namespace "$namespace" --replicas 5
    kubectl wait --namespace "$namespace" scrapering/main --for=jsonpath='{.status.joinedReplicas}'=5 --timeout 10m
    kubectl scale scrapering main --namespace "$namespace" --replicas 3
    kubectl wait --namespace "$namespace" scrapering/main --for=jsonpath='{.status.replicas}'=3 --timeout 20m
    if kubectl scale scrapering main --namespace "$namespace" --replicas 2; then
        echo "a ring of two was accepted" >&2
        return 1
    fi
}

command -v kubectl >/dev/null || skip "kubectl is not installed"
scripts/chart.sh tools
helm=${HELM:-$(compgen -G "$tools/helm-*" | head -n 1 || true)}
[ -n "$helm" ] || skip "there is no helm"
# Not `... || make_cluster`: behind an `||` a command that fails in it would not stop it.
if [ -z "${KUBECONFIG:-}" ]; then make_cluster; fi
kubectl version >/dev/null || { echo "the cluster of KUBECONFIG does not answer" >&2; exit 1; }
trap clean_up EXIT
install
apply_ring
open_shop
run_job
scale
step "everything went as it should"
