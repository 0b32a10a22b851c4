#!/usr/bin/env bash
# Installs Scrapy into the benchmark's own folder of the cache, and prints its program.
set -euo pipefail

venv=${XDG_CACHE_HOME:-$HOME/.cache}/scrapering/bench/venv
if ! "$venv/bin/scrapy" version >/dev/null 2>&1; then
    echo "bench: installing Scrapy into $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" --quiet install scrapy >&2
fi
echo "$venv/bin/scrapy"
