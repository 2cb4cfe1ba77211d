#!/usr/bin/env bash
# Run the tests with a given MindSpore version, in an environment of its own.
#
# Usage: test_version.sh VERSION [arguments of pytest ...]
# Example: bash scripts/test_version.sh 2.8.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
case "${1:---help}" in
  -h | --help) split_arguments 0 --help ;;
  [0-9]*.[0-9]*) version="$1" ;;
  *) fail "$1 is not a version; use one such as 2.8.0" ;;
esac
shift
make_environment "$ROOT/build/venv-mindspore-$version"
say "installing MindSpore $version"
install_packages "mindspore==$version" "numpy<2" # which stays: setup.py
install_packages -e ".[test]"
cd "$ROOT"
python -c 'import mindspore; print("MindSpore", mindspore.__version__)'
python -m pytest "$@"
