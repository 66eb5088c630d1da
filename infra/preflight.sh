#!/bin/sh
# Says everything that is missing on this machine, with the commands that bring it.
python=${1:-python3}
missing=0
say() {
    echo "make: $1" >&2
    missing=1
}
if ! command -v git >/dev/null 2>&1; then
    say "git is missing. Try: apt-get install git"
fi
if ! command -v "$python" >/dev/null 2>&1; then
    say "$python is missing. Try: apt-get install python3 python3-venv"
elif ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    say "$("$python" --version 2>&1) is not among Python 3.11 to 3.13. Name another: make PYTHON=python3.12 install"
elif ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    say "Python's venv module is missing. Try: apt-get install python3-venv"
fi
exit $missing
