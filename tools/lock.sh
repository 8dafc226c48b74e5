#!/usr/bin/env bash
# Writes requirements/*.txt from pyproject.toml: every version and hash, for every platform and Python >= 3.11,
# no index address and no path. One resolution for all, then each file under it, so that they never disagree.
#
#   make lock                          everything published at least 7 days ago
#   EXCLUDE_NEWER=2026-11-14T00:00:00Z make lock      the same again later
set -euo pipefail
cd "$(dirname "$0")/.."
UV="${UV:-uv}"
EXCLUDE_NEWER="${EXCLUDE_NEWER:-$(date -u -d '7 days ago' +%Y-%m-%dT00:00:00Z)}"
all="$(mktemp)"
trap 'rm -f "$all"' EXIT

compile() { # OUT ARGUMENT...
  local out="$1"
  shift
  "$UV" pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --no-header \
    --exclude-newer "$EXCLUDE_NEWER" --python-version 3.11 --group build "$@" --output-file "$out.new"
  {
    echo "# Locked by \`make lock\`: do not edit. Resolved from what was published before $EXCLUDE_NEWER."
    cat "$out.new"
  } >"$out"
  rm "$out.new"
}

compile "$all" --extra up --extra prices --extra cloud --extra postgres --extra redis --extra local --group dev
compile requirements/core.txt --constraint "$all"
compile requirements/serve.txt --constraint "$all" --extra serve
compile requirements/up.txt --constraint "$all" --extra up
compile requirements/local.txt --constraint "$all" --extra local
compile requirements/dev.txt --constraint "$all" --extra up --extra prices --extra cloud --extra postgres --extra redis --group dev
compile requirements/oracles.txt --constraint "$all" --group oracles
compile requirements/fast.txt --constraint "$all" --group fast
wc -l requirements/*.txt
