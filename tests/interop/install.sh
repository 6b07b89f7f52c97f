#!/usr/bin/env bash
# Install the other SDKs into a folder: install.sh FOLDER. What can't be had is left out, with a sentence; the tests then skip.
set -uo pipefail
folder=$1
typescript=@resonatehq/sdk@0.11.5
official=resonate-sdk==0.8.1

# interpreter: print a Python of at least 3.12 that really starts (a version manager's shim may not).
interpreter() {
    local candidate
    for candidate in python3.12 python3.13 python3.14 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python python3; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < (3, 12))" 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
}

if [ ! -d "$folder/node/node_modules/@resonatehq/sdk" ]; then
    if ! command -v npm >/dev/null; then
        echo "Without the TypeScript SDK: npm is not installed."
    elif ! npm install --prefix "$folder/node" --fetch-timeout=60000 --fetch-retries=1 --silent --no-audit --no-fund "$typescript" >/dev/null; then
        echo "Without the TypeScript SDK: npm could not install $typescript."
        rm -rf "$folder/node"
    fi
fi

if [ ! -x "$folder/official/bin/python" ]; then
    python=$(interpreter)
    if [ -z "$python" ]; then
        echo "Without the official Python SDK: it needs Python 3.12."
    elif ! { "$python" -m venv "$folder/official" && "$folder/official/bin/python" -m pip install --timeout=30 --retries=1 --quiet --disable-pip-version-check "$official"; }; then
        echo "Without the official Python SDK: pip could not install $official."
        rm -rf "$folder/official"
    fi
fi
exit 0
