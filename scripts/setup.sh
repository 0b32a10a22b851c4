#!/usr/bin/env bash
# Makes sure that everything a build needs is here, on a Debian 12 machine that has only Rust.
# Says what is missing before it installs it. `setup.sh nextest` sees to the test runner instead, `setup.sh chaos` to
# what partitions need, `setup.sh power` to what power cuts need, `setup.sh chart` to what checks of the chart need,
# `setup.sh bench` to what the ring is compared with.
set -euo pipefail

rust_wanted=1.95
missing=()

say() { printf 'setup: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

check_rust() {
    command -v cargo >/dev/null 2>&1 ||
        fail "cargo is not on the PATH: install Rust $rust_wanted or newer from https://rustup.rs"
    local have
    have=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n%s\n' "$rust_wanted" "$have" | sort -V | head -n 1)" = "$rust_wanted" ] ||
        fail "Rust $have is too old, $rust_wanted or newer is needed: run 'rustup update'"
    local component
    for component in clippy fmt; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        command -v rustup >/dev/null 2>&1 || fail "cargo $component is missing: install it beside this Rust"
        [ "$component" = fmt ] && component=rustfmt
        say "adding the Rust component $component"
        rustup component add "$component"
    done
}

check_system() {
    need gcc gcc
    need g++ g++
    need mold mold
    need ccache ccache
    # RocksDB's bindings are generated with libclang, which brings its own headers along.
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || ldconfig -p 2>/dev/null | grep -q 'libclang.*\.so' ||
        missing+=(libclang-dev)
    install_missing
}

check_chaos() {
    # Without root there are no network namespaces, and the program says what it leaves out.
    [ "$(id -u)" -eq 0 ] || return 0
    need ip iproute2
    need nft nftables
    install_missing
}

check_chart() {
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    install_missing
}

check_bench() {
    need etcd etcd-server
    install_missing
}

check_power() {
    # Without root nothing can be mounted, and the program says so.
    [ "$(id -u)" -eq 0 ] || return 0
    need mkfs.ext4 e2fsprogs
    need mount mount
    need perl perl-base
    need strace strace
    install_missing
}

install_missing() {
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null 2>&1 ||
        fail "missing: ${missing[*]} (Debian's names): install them with this system's package manager"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "missing: ${missing[*]}: as root, run 'apt-get install ${missing[*]}'"
        as_root=(sudo)
    fi
    say "installing ${missing[*]} with apt-get"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

check_nextest() {
    cargo nextest --version >/dev/null 2>&1 && return
    say "installing cargo-nextest (once, a few minutes)"
    # Its own target folder and no flags of ours: a tool shares nothing with the project.
    env -u RUSTFLAGS -u CARGO_TARGET_DIR cargo install cargo-nextest --locked --quiet ||
        say "cargo-nextest could not be installed; the tests run with cargo test instead"
}

case "${1:-build}" in
    build)
        check_rust
        check_system
        say "everything is here (builds go to ${CARGO_TARGET_DIR:-target})"
        ;;
    nextest) check_nextest ;;
    chaos) check_chaos ;;
    power) check_power ;;
    bench) check_bench ;;
    chart) check_chart ;;
    *) fail "no such step: $1 (build, nextest, chaos, power, chart, bench)" ;;
esac
