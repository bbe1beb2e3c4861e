#!/bin/sh
# Create .venv and install the course in it. `make install` calls this in the project's
# root; it can be called again after an interruption or when something has changed.
# PYTHON=/path/to/python chooses the interpreter.
set -u

venv=.venv
log=$venv/pip.log
unfinished=$venv/.installing # there while packages are written
in_range='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

fail() {
    printf '\n' >&2
    printf '%s\n' "$@" >&2
    exit 1
}

# A name on the PATH may be a stub that does not run, so each is run.
find_python() {
    seen=""
    bare=""
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        version=$("$candidate" -c 'import platform; print(platform.python_version())' \
            2>/dev/null) || continue
        if ! "$candidate" -c "$in_range" 2>/dev/null; then
            seen="$seen $candidate is $version."
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            bare="$candidate"
        else
            python=$candidate
            return
        fi
    done
    if [ -n "$bare" ]; then
        fail "$bare has no venv module, which keeps the course's packages apart." \
            "On Debian or Ubuntu: sudo apt install $("$bare" -c \
            'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    names=${PYTHON:-python3.13, python3.12, python3.11, python3, python}
    fail "The course needs Python 3.11, 3.12 or 3.13.${seen:- Nothing runs as $names.}" \
        "Install one from https://www.python.org/downloads/ or your system's packages," \
        "or name one: make install PYTHON=/path/to/python3.12"
}

# What an interruption or a removed Python left behind is built anew.
if [ -e "$unfinished" ] || ! "$venv/bin/python" -c "$in_range" 2>/dev/null \
    || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    find_python
    echo "Creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" \
        || fail "Creating $venv failed: see the message above."
fi
rm -f "$venv/.installed" "$log"

explain() {
    reason="Installing failed: see pip's message above."
    if grep -qE 'NewConnectionError|NameResolutionError|Connect(ion|Timeout)Error|ReadTimeoutError|ProxyError|SSLError|Max retries exceeded' "$log" 2>/dev/null; then
        reason="Installing failed: the package index cannot be reached. The first install needs the network."
        rm -f "$unfinished" # pip writes nothing before it has everything
    elif grep -q 'No space left on device' "$log" 2>/dev/null; then
        reason="Installing failed: the disk is full. The course needs about 3 GB."
    fi
    fail "$reason" "Then run the same command again: what was downloaded is kept." \
        "The whole story is in $log."
}

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --log "$log" "$@"
}

: > "$unfinished"
echo "Installing the packages of requirements.txt (a few minutes the first time)"
pip install -r requirements.txt || explain
# The build backend is among them, so this needs no network.
pip install --quiet --no-deps --no-build-isolation -e . || explain

"$venv/bin/python" -c 'import aecourse' || fail "The installed course does not import."
rm -f "$unfinished"
pwd -P > "$venv/.installed"
