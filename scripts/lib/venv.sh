# shellcheck shell=bash
# Souk's virtual environment, for the scripts that source this file:
#
#   source "$(dirname "${BASH_SOURCE[0]}")/lib/venv.sh"
#   venv_ready            # the packages that Souk runs on (requirements.lock)
#   venv_ready dev        # and those for checks and tests (requirements-dev.lock)
#
# Afterwards $SOUK_ROOT is the checkout and .venv/bin is first in PATH. Nothing is downloaded unless a
# lock changed. Messages go to stderr: stdout belongs to the script. Works in bash 3.2.

SOUK_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"
SOUK_VENV="$SOUK_ROOT/.venv"
export SOUK_ROOT

venv_ready() {
  local wanted="${1:-runtime}"
  if ! venv_is_fresh "$wanted"; then
    mkdir -p "$SOUK_ROOT/.cache"
    # One installation at a time; a process that waited finds it done.
    (
      if command -v flock >/dev/null; then flock 9; fi
      venv_is_fresh "$wanted" || venv_install "$wanted"
    ) 9>"$SOUK_ROOT/.cache/venv.lock" || return 1
  fi
  export VIRTUAL_ENV="$SOUK_VENV" PATH="$SOUK_VENV/bin:$PATH"
  unset PYTHONHOME PYTHONPATH
}

# The development environment includes everything of the runtime's, in the same versions.
venv_is_fresh() {
  local stamp
  stamp="$(cat "$SOUK_VENV/souk-stamp" 2>/dev/null)" || return 1
  [ "$stamp" = "$(venv_key dev)" ] || { [ "$1" = runtime ] && [ "$stamp" = "$(venv_key runtime)" ]; }
}

# A moved checkout, a changed lock or a changed entry point needs a new installation.
venv_key() {
  {
    echo "$1 $SOUK_ROOT"
    cat "$(venv_lock "$1")"
    sed -n '/^\[project.scripts\]/,/^$/p' "$SOUK_ROOT/pyproject.toml"
  } | cksum
}

venv_lock() {
  if [ "$1" = dev ]; then echo "$SOUK_ROOT/requirements-dev.lock"; else echo "$SOUK_ROOT/requirements.lock"; fi
}

venv_install() {
  venv_create || return 1
  venv_say "installing $(basename "$(venv_lock "$1")") into .venv (only when it changed)"
  rm -f "$SOUK_VENV/souk-stamp"
  venv_pip --require-hashes --requirement "$(venv_lock "$1")" ||
    venv_fail "pip could not install the packages (see above); is the package index reachable?" || return 1
  # hatchling came with the lock: no isolated build, no download.
  venv_pip --no-deps --no-build-isolation --editable "$SOUK_ROOT" ||
    venv_fail "pip could not install Souk itself (see above)" || return 1
  venv_key "$1" >"$SOUK_VENV/souk-stamp"
}

venv_pip() {
  "$SOUK_VENV/bin/python" -m pip --disable-pip-version-check --no-input install --quiet "$@" >&2
}

# Keeps a .venv that works and was created here.
venv_create() {
  local python
  if venv_works; then return; fi
  python="$(venv_find_python)" || return 1
  venv_say "making .venv with $("$python" -c 'import platform, sys; print("Python", platform.python_version(), "of", sys.executable)')"
  "$python" -m venv --clear "$SOUK_VENV" >&2 || venv_fail "could not make $SOUK_VENV"
}

venv_works() {
  [ "$("$SOUK_VENV/bin/python" -c "$VENV_OLD_ENOUGH; print(sys.prefix)" 2>/dev/null)" = "$SOUK_VENV" ] &&
    grep -q -s -F "$SOUK_VENV/bin/python" "$SOUK_VENV/bin/pip"
}

VENV_OLD_ENOUGH='import sys; sys.exit("too old") if sys.version_info < (3, 11) else None'

# Only $PYTHON is tried, if it is set.
venv_find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    if "$candidate" -c "$VENV_OLD_ENOUGH" >/dev/null 2>&1; then
      venv_has_modules "$candidate" || return 1
      echo "$candidate"
      return
    fi
  done
  venv_fail "Souk needs Python 3.11 or newer, and none was found${PYTHON:+ at PYTHON=$PYTHON}." \
    "On Debian 12 or later: apt-get install python3 python3-venv"
}

# Debian packages these two modules separately.
venv_has_modules() {
  if "$1" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
  venv_fail "$1 lacks its venv module." \
    "On Debian: apt-get install $("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" \
    "(or python3-venv)"
}

venv_say() { printf 'souk: %s\n' "$*" >&2; }

venv_fail() {
  venv_say "$*"
  return 1
}
