#!/usr/bin/env bash
# Run every check: lint, format, tests.
#
# Usage: test.sh [arguments of pytest ...]
# Works in the active environment, or makes .venv; MINDRESTORE_SKIP_INSTALL=1 installs nothing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
use_environment
install_project ".[test]"
cd "$ROOT"
say "ruff"
python -m ruff check .
python -m ruff format --check .
say "pytest"
python -m pytest "$@"
