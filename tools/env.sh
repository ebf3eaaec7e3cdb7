# Sourced by quickstart.sh and run_tests.sh: makes and activates .venv with all that is required.
# MMLITE_PYTHON chooses the interpreter (default: python3).
MMLITE_PYTHON=${MMLITE_PYTHON:-python3}
if ! "$MMLITE_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "error: mmlite needs Python 3.10 or newer, but $MMLITE_PYTHON is" \
        "$("$MMLITE_PYTHON" -V 2>&1); set MMLITE_PYTHON to a newer one" >&2
    exit 2
fi
if [ ! -x .venv/bin/python ]; then
    echo "== environment: .venv ($("$MMLITE_PYTHON" -V))"
    "$MMLITE_PYTHON" -m venv .venv
fi
# shellcheck disable=SC1091
. .venv/bin/activate
# installed again only when what is required has changed
wanted=$(cat requirements.txt pyproject.toml | cksum)
if [ "$(cat .venv/mmlite-installed 2>/dev/null)" != "$wanted" ]; then
    echo '== installing: about 5 GB with the default wheel of torch, a few minutes'
    python -m pip install --disable-pip-version-check --quiet --progress-bar off -e '.[dev]'
    echo "$wanted" > .venv/mmlite-installed
fi
