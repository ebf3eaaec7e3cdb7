# Sourced by quickstart.sh and run_tests.sh: creates and activates .venv with the requirements.
# EXTRAS, e.g. '[dev]', are those of pyproject.toml; MMLITE_PYTHON is the interpreter (python3).
MMLITE_PYTHON=${MMLITE_PYTHON:-python3}
if ! "$MMLITE_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "error: mmlite requires Python >= 3.10, but $MMLITE_PYTHON is" \
        "$("$MMLITE_PYTHON" -V 2>&1); set MMLITE_PYTHON to a newer one" >&2
    exit 2
fi
if [ ! -x .venv/bin/python ]; then
    echo "== environment: .venv ($("$MMLITE_PYTHON" -V))"
    "$MMLITE_PYTHON" -m venv .venv
fi
# shellcheck disable=SC1091
. .venv/bin/activate
# installed again only when the requirements have changed; an extra stays installed
installed=.venv/mmlite-installed${EXTRAS:-}
required=$(cat requirements.txt pyproject.toml | cksum)
if [ "$(cat "$installed" 2>/dev/null)" != "$required" ]; then
    echo '== installing: about 5 GB with the default wheel of torch, a few minutes'
    python -m pip install --disable-pip-version-check --quiet --progress-bar off -e ".${EXTRAS:-}"
    echo "$required" | tee "$installed" > .venv/mmlite-installed
fi
