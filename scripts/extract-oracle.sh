#!/usr/bin/env bash
# Compares the extraction of real pages, field by field, with an implementation in Python (parsel, html5lib, lxml).
# The pages are HTML documentation that Debian ships; they and the Python packages are kept in the cache folder.
# usage: extract-oracle.sh BIN [PAGES]
set -euo pipefail

bin=$1
pages=${2:-200}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/oracle
packages=(python3.11-doc git-doc postgresql-doc-15)

mkdir -p "$cache"
here=$(cd "$(dirname "$0")" && pwd)
if ! "$cache/venv/bin/python" -c 'import html5lib, parsel' 2>/dev/null; then
    echo "oracle: installing parsel, lxml and html5lib into $cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" --quiet install parsel lxml html5lib
fi
folders=()
for package in "${packages[@]}"; do
    if [ ! -d "$cache/$package" ]; then
        echo "oracle: fetching the Debian package $package"
        (cd "$cache" && apt-get -qq download "$package" && dpkg-deb -x "$package"_*.deb "$package.new" && mv "$package.new" "$package")
    fi
    folders+=("$cache/$package")
done
exec "$cache/venv/bin/python" "$here/extract-oracle.py" "$bin/scrapering" "$here/extract-oracle.yaml" "$pages" "${folders[@]}"
