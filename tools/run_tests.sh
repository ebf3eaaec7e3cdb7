#!/usr/bin/env bash
# Run all tests in .venv, which is created if missing: bash tools/run_tests.sh
# Arguments go to pytest, e.g. bash tools/run_tests.sh tests/test_models -k golden
# --faults kills trainings at many more moments, some minutes more. One worker for each core, at
# most 8: -n 0 runs all tests in one process, e.g. for a debugger.
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS='[dev]' . tools/env.sh
python tools/check_stack.py
ruff check .
ruff format --check .
exec python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder --durations 10 "$@"
