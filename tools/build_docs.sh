#!/usr/bin/env bash
# Build the documentation as HTML, warnings as errors: bash tools/build_docs.sh [DIRECTORY]
# The default is build/docs; open its index.html. Requires pip install --group docs (pip >= 25.1).
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
out=${1:-$PWD/build/docs}
case $out in /*) ;; *) out=$here/$out ;; esac
"${PYTHON:-python}" -m sphinx -b html -W --keep-going -q -c docs -d "$out/.doctrees" . "$out"
if grep -rnoE --include='*.html' '(src|href)="https?://[^"]*\.(js|css|woff2?)"' "$out"; then
    echo 'error: pages must work without a network' >&2
    exit 1
fi
echo "open $out/index.html"
