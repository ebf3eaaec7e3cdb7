#!/usr/bin/env bash
# All tests of the project, in .venv (made here where it is missing): bash tools/run_tests.sh
# Arguments go to pytest, e.g. bash tools/run_tests.sh tests/test_models -k golden
# --faults kills trainings at many more moments, some minutes more.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh
python tools/check_stack.py
ruff check .
ruff format --check .
exec python -m pytest "$@"
