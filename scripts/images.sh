#!/usr/bin/env bash
# What `make images` does once everything is built: images.sh FOLDER-OF-THE-BINARIES FOLDER-OF-THE-ARCHIVES
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${1:?usage: images.sh BINARIES ARCHIVES}
dist=${2:?usage: images.sh BINARIES ARCHIVES}
version=$(sed -nE 's/^appVersion: *(.*)$/\1/p' helm/Chart.yaml)
registry=ghcr.io/scrapering

for program in scrapering scrapering-operator fixture-shop; do
    scripts/image.sh build "$bin/$program" "$registry/$program:$version" "$dist/$program.tar"
    scripts/image.sh check "$dist/$program.tar" --help >/dev/null
done
echo "Load them with: docker load -i dist/scrapering.tar, or kind load image-archive dist/scrapering.tar --name scrapering"
