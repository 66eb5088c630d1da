#!/bin/sh
# Says what is missing on this machine, with the command that brings it.
python=${1:-python3}
if ! command -v "$python" >/dev/null 2>&1; then
    echo "make: $python is missing. Try: apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "make: $("$python" --version) is not among Python 3.11 to 3.13. Try: make PYTHON=python3.12 install" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    echo "make: Python's venv module is missing. Try: apt-get install python3-venv" >&2
    exit 1
fi
if ! command -v git >/dev/null 2>&1; then
    echo "make: git is missing. Try: apt-get install git" >&2
    exit 1
fi
