#!/usr/bin/env bash
# Compares XPath with lxml: a table of expressions, and expressions drawn by a seed, on several pages.
# usage: xpath-oracle.sh BIN [EXPRESSIONS [SEED]]
set -euo pipefail

bin=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/oracle

mkdir -p "$cache"
here=$(cd "$(dirname "$0")" && pwd)
if ! "$cache/venv/bin/python" -c 'import lxml.html' 2>/dev/null; then
    echo "oracle: installing lxml into $cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" --quiet install lxml
fi
exec "$cache/venv/bin/python" "$here/xpath-oracle.py" "$bin/scrapering" "${2:-3000}" ${3:+"$3"}
