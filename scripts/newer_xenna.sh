#!/bin/sh
# The conformance cases on the newest cosmos-xenna, which needs Python 3.12 or newer, where such an interpreter is found.
# Arguments go to pytest; with --install alone the environment is made and nothing run.
set -eu
if [ "$(${VENV:-.venv}/bin/python -c 'import sys; print(sys.version_info >= (3, 12))')" = True ]; then
    echo "The tests above ran on the newest cosmos-xenna already."
    exit 0
fi
for candidate in "${PYTHON:-python3}" python3.12 python3.13 "$HOME"/.pyenv/versions/3.12*/bin/python "$HOME"/.pyenv/versions/3.13*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit(not ((3, 12) <= sys.version_info[:2] < (3, 14)))' 2>/dev/null; then
        found="$candidate"
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "No Python 3.12 or 3.13 was found, so the newest cosmos-xenna was not tried."
    exit 0
fi
PYTHON="$found" VENV=.venv-newer sh "$(dirname "$0")/install.sh" conformance,xenna
[ "${1:-}" != --install ] || exit 0
exec .venv-newer/bin/python -m pytest -q "$@"
