#!/usr/bin/env bash
# Makes a container image out of one program and nothing else, without a container engine, a base image or a registry:
#   image.sh build PROGRAM TAG ARCHIVE   writes a docker-archive that docker, podman, kind and containerd load
#   image.sh check ARCHIVE [ARGUMENT...] unpacks it, compares every digest, and as root runs its program in it
#
# Inside are the program, the shared libraries it names, the loader, certificates of the web, and a user without rights.
# The same input gives the same bytes.
set -euo pipefail

user=65532
epoch=${SOURCE_DATE_EPOCH:-0}
certificates=/etc/ssl/certs/ca-certificates.crt

fail() {
    echo "image: $*" >&2
    exit 1
}

digest() { sha256sum "$1" | cut -d' ' -f1; }

# copy_libraries PROGRAM ROOT: at the paths where the loader looks for them.
copy_libraries() {
    local library
    ldd "$1" | grep -oE '/[^ ]+' | sort -u | while read -r library; do
        install -D -m 0755 "$(readlink -f "$library")" "$2$library"
    done
}

build() {
    local program=$1 tag=$2 archive=$3 name work root
    name=$(basename "$program")
    [ -x "$program" ] || fail "$program is not there: build it first"
    [ -s "$certificates" ] || fail "$certificates is missing: install ca-certificates"
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    root=$work/root
    install -D -m 0755 "$program" "$root/usr/local/bin/$name"
    command -v strip >/dev/null && strip --strip-debug "$root/usr/local/bin/$name"
    copy_libraries "$program" "$root"
    install -D -m 0644 "$certificates" "$root$certificates"
    install -d -m 1777 "$root/tmp"
    install -d "$root/etc"
    printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%s:%s:nonroot:/tmp:/sbin/nologin\n' $user $user >"$root/etc/passwd"
    printf 'root:x:0:\nnonroot:x:%s:\n' $user >"$root/etc/group"
    printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
    tar --create --file "$work/layer.tar" --directory "$root" --sort=name --mtime="@$epoch" --owner=0 --group=0 \
        --numeric-owner --format=gnu .
    local layer config
    layer=$(digest "$work/layer.tar")
    mv "$work/layer.tar" "$work/$layer.tar"
    cat >"$work/config.json" <<EOF
{"architecture":"$(architecture)","os":"linux","created":"$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)",
"config":{"User":"$user:$user","Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"Entrypoint":["/usr/local/bin/$name"],
"WorkingDir":"/tmp","Labels":{"org.opencontainers.image.title":"$name","org.opencontainers.image.version":"${tag##*:}",
"org.opencontainers.image.licenses":"Apache-2.0",
"org.opencontainers.image.source":"https://github.com/scrapering/scrapering"}},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
"history":[{"created_by":"scripts/image.sh","comment":"$name and its libraries"}]}
EOF
    config=$(digest "$work/config.json")
    mv "$work/config.json" "$work/$config.json"
    printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s.tar"]}]\n' "$config" "$tag" "$layer" >"$work/manifest.json"
    mkdir -p "$(dirname "$archive")"
    tar --create --file "$archive" --directory "$work" --sort=name --mtime="@$epoch" --owner=0 --group=0 \
        --numeric-owner --format=gnu manifest.json "$config.json" "$layer.tar"
    echo "image: $archive holds $tag ($(du -h "$archive" | cut -f1), $(tar --list --file "$work/$layer.tar" | grep -c '\.so') libraries)"
}

architecture() {
    case "$(uname -m)" in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}

check() {
    local archive=$1 work layer config program
    shift
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    tar --extract --file "$archive" --directory "$work"
    config=$(sed -nE 's/.*"Config":"([0-9a-f]{64})\.json".*/\1/p' "$work/manifest.json")
    layer=$(sed -nE 's/.*"Layers":\["([0-9a-f]{64})\.tar"\].*/\1/p' "$work/manifest.json")
    [ "$(digest "$work/$config.json")" = "$config" ] || fail "$archive: the configuration is not what its name says"
    [ "$(digest "$work/$layer.tar")" = "$layer" ] || fail "$archive: the layer is not what its name says"
    grep -q "\"sha256:$layer\"" "$work/$config.json" || fail "$archive: the configuration names another layer"
    program=$(sed -nE 's/.*"Entrypoint":\["([^"]+)"\].*/\1/p' "$work/$config.json")
    mkdir "$work/root"
    tar --extract --file "$work/$layer.tar" --directory "$work/root"
    [ -z "$(find "$work/root" -perm /6000 -o -type c -o -type b)" ] || fail "$archive: something in it has rights of its own"
    if [ "$(id -u)" -ne 0 ]; then
        echo "image: $archive is whole; run as root to also start $program in it"
        return
    fi
    chmod 0755 "$work" "$work/root"
    chroot --userspec=$user:$user "$work/root" "$program" "${@:---version}" || fail "$archive: $program does not start in it"
}

case "${1:-}" in
    build)
        [ $# -eq 4 ] || fail "usage: image.sh build PROGRAM TAG ARCHIVE"
        build "$2" "$3" "$4"
        ;;
    check)
        [ $# -ge 2 ] || fail "usage: image.sh check ARCHIVE [ARGUMENT...]"
        shift
        check "$@"
        ;;
    *) fail "usage: image.sh build PROGRAM TAG ARCHIVE | image.sh check ARCHIVE [ARGUMENT...]" ;;
esac
