#!/usr/bin/env bash
# The documentation as HTML, warnings as errors: bash tools/build_docs.sh [FOLDER]
# FOLDER is build/docs by default; open its index.html. Needs pip install -e '.[docs]', no network.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
out=${1:-$PWD/build/docs}
case $out in /*) ;; *) out=$here/$out ;; esac
"${PYTHON:-python}" -m sphinx -b html -W --keep-going -q -c docs -d "$out/.doctrees" . "$out"
echo "open $out/index.html"
