#!/usr/bin/env bash
# Run every check: lint, format, tests.
#
# Usage: test.sh [arguments of pytest ...]
# Works in the active environment, or makes .venv; MINDRESTORE_SKIP_INSTALL=1 installs nothing.
# Tests run in two processes where pytest-xdist is installed, and whoever has finished takes half of what the other has
# left; `-n 0` keeps them in one. `-m slow` runs the tests of minutes, `-m ''` all.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
case "${1:-}" in -h | --help) split_arguments 0 --help ;; esac
use_environment
install_project ".[test]"
cd "$ROOT"
say "ruff"
python -m ruff check .
python -m ruff format --check .
say "pytest"
processes=()
if python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("xdist") is None)'; then
  processes=(-n 2 --dist worksteal)
  cores="$(python -c 'import os; print(os.cpu_count() or 1)')"
  export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((cores > 2 ? cores / 2 : 1))}" # else each takes every core
fi
python -m pytest ${processes[@]+"${processes[@]}"} "$@"
