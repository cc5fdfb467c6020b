#!/bin/sh
# Make the virtual environment $VENV and install this checkout with the extra named by the first argument.
# Takes `uv` when it is there, else the standard library's venv and pip. Prints one line, or what went wrong.
set -eu
extra="$1"
: "${PYTHON:=python3}" "${VENV:=.venv}"

"$PYTHON" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] < (3, 14)))' || {
    echo "curator-backends needs Python 3.11, 3.12 or 3.13; $PYTHON is $("$PYTHON" --version 2>&1). Name another: make PYTHON=python3.12" >&2
    exit 1
}
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
echo "Setting up $VENV with [$extra] (once; a minute or two) ..."
if command -v uv >/dev/null 2>&1; then
    { [ -x "$VENV/bin/python" ] || uv venv --quiet --python "$PYTHON" "$VENV"; } >"$log" 2>&1 &&
        uv pip install --quiet --python "$VENV/bin/python" -e ".[$extra]" >>"$log" 2>&1
else
    { [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"; } >"$log" 2>&1 &&
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extra]" >>"$log" 2>&1
fi || {
    cat "$log" >&2
    echo "Setting up $VENV failed; the installer's words are above. After mending the cause: make clean, then again." >&2
    exit 1
}
# Workers start by the hundred in the tests; where the environment keeps Python from writing byte code, each would compile everything anew.
"$VENV/bin/python" -m compileall -q nemo_curator || true
