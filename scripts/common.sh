# Shared by every script of this folder: where the project is, which Python runs it, how to stop with one clear line.
# Sourced, never run. Callers have set `set -euo pipefail`.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf '== %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# find_python: print a Python that MindSpore has wheels for.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.12 python3.11 python3.10 python3.9; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "no Python 3.9 to 3.12 found; install one (on Debian or Ubuntu: apt install python3 python3-venv) or set PYTHON"
}

# make_environment DIR: create a virtual environment unless DIR already holds one, and activate it.
make_environment() {
  local folder="$1" python
  if [ ! -x "$folder/bin/python" ]; then
    python="$(find_python)" || exit
    say "creating a virtual environment in $folder"
    "$python" -m venv "$folder" ||
      fail "'$python -m venv' failed; install the venv module (on Debian or Ubuntu: apt install python3-venv)"
  fi
  # shellcheck disable=SC1091
  . "$folder/bin/activate"
}

# use_environment: stay in the active environment, or make and enter ROOT/.venv.
use_environment() {
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
    say "using the active environment ${VIRTUAL_ENV:-$CONDA_PREFIX}"
  else
    make_environment "$ROOT/.venv"
  fi
}

# install_packages ARGUMENTS: pip install, quietly; MINDRESTORE_SKIP_INSTALL=1 trusts what is there.
install_packages() {
  if [ "${MINDRESTORE_SKIP_INSTALL:-0}" = 1 ]; then return; fi
  python -m pip install --quiet --disable-pip-version-check "pip>=21.3" # older ones cannot install in editable mode
  (cd "$ROOT" && python -m pip install --quiet --disable-pip-version-check "$@")
}

# install_project TARGET: the pinned versions where MindSpore is absent (one that is there stays), then the project.
install_project() {
  say "installing"
  if ! python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("mindspore") is None)'; then
    install_packages -r requirements.txt
  fi
  install_packages -e "$1"
}

# enter_launcher_environment: a launcher installs nothing; it takes the active environment, else ROOT/.venv, else plain python3.
enter_launcher_environment() {
  if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "$ROOT/.venv/bin/python" ]; then
    # shellcheck disable=SC1091
    . "$ROOT/.venv/bin/activate"
  fi
  LAUNCH_PYTHON="${PYTHON:-$(command -v python || command -v python3)}" || fail "no python found; install Python 3.9 to 3.12"
  "$LAUNCH_PYTHON" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("mindspore") is None)' ||
    fail "MindSpore is not installed for $LAUNCH_PYTHON; run: $LAUNCH_PYTHON -m pip install -r $ROOT/requirements.txt"
  # CUDA's libraries out of NVIDIA's wheels have to be known before Python starts
  eval "$(PYTHONPATH="$ROOT/src${PYTHONPATH:+:$PYTHONPATH}" "$LAUNCH_PYTHON" -m mindrestore.launch.cuda)"
}

# require_device DEVICE: leave with one line when MindSpore cannot use it.
require_device() {
  PYTHONPATH="$ROOT/src${PYTHONPATH:+:$PYTHONPATH}" "$LAUNCH_PYTHON" - "$1" <<'PYTHON'
import sys

from mindrestore.engine.context import setup
from mindrestore.errors import MindRestoreError

try:
    setup(sys.argv[1])
except MindRestoreError as error:
    sys.exit(f"error: {error}")
PYTHON
}

# split_arguments MAXIMUM ARGUMENTS: POSITIONAL gets what stands before `--`, EXTRA what follows it, FLAGS the words of
# $VALUE_FLAGS (with the word behind each) and $SWITCHES among them. `--help` prints the comment at the top of the script.
split_arguments() {
  local maximum="$1"
  shift
  POSITIONAL=()
  EXTRA=()
  FLAGS=()
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help)
        sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"
        exit 0
        ;;
      --)
        shift
        EXTRA=("$@")
        break
        ;;
      -*)
        if [[ " ${SWITCHES:-} " == *" $1 "* ]]; then
          FLAGS+=("$1")
        elif [[ " ${VALUE_FLAGS:-} " == *" $1 "* ]]; then
          [ $# -gt 1 ] || fail "flag $1 needs a value; see $(basename "$0") --help"
          FLAGS+=("$1" "$2")
          shift
        else
          fail "unknown flag $1; flags of the program go after --, as in: $(basename "$0") -- $1"
        fi
        ;;
      *) POSITIONAL+=("$1") ;;
    esac
    shift
  done
  [ ${#POSITIONAL[@]} -le "$maximum" ] || fail "at most $maximum arguments, got ${#POSITIONAL[@]}; see $(basename "$0") --help"
}

# launch_training DEVICE ARGUMENTS: what the run_standalone_train_* scripts have in common.
launch_training() {
  local device="${MINDRESTORE_DEVICE:-$1}"
  shift
  split_arguments 2 "$@"
  local recipe="${RECIPE:-aecrnet/zoo_its}"
  local data="${POSITIONAL[0]:-data}" name="${POSITIONAL[1]:-${recipe//\//_}}"
  [ -d "$data" ] || fail "$data: no such folder; name the folder of the training data as the first argument"
  enter_launcher_environment
  require_device "$device"
  exec "$LAUNCH_PYTHON" "$ROOT/train.py" --recipe "$recipe" --device "$device" --dir_data "$data" --filename "$name" \
    ${EXTRA[@]+"${EXTRA[@]}"}
}

# counted_first: the number of processes and the list of devices in front of the folder, as other launchers take them.
counted_first() {
  local first="${POSITIONAL[0]:-}"
  if [[ "$first" =~ ^[0-9]+$ && ! -d "$first" ]]; then
    FLAGS+=(--device-num "$first")
    POSITIONAL=("${POSITIONAL[@]:1}")
    first="${POSITIONAL[0]:-}"
  fi
  if [[ "$first" =~ ^[0-9]+(,[0-9]+)+$ && ! -d "$first" ]]; then
    FLAGS+=(--visible-devices "$first")
    POSITIONAL=("${POSITIONAL[@]:1}")
  fi
  [ ${#POSITIONAL[@]} -le 3 ] || fail "at most 3 arguments, got ${#POSITIONAL[@]}; see $(basename "$0") --help"
}

# launch_distributed DEVICE ARGUMENTS: what the run_distribute_train_* scripts have in common.
launch_distributed() {
  local device="${MINDRESTORE_DEVICE:-$1}"
  shift
  local VALUE_FLAGS="--device-num --visible-devices --node-num --node-rank --master-addr --master-port --max-restarts --log-dir"
  local SWITCHES="--mpi --dry-run"
  split_arguments 5 "$@"
  counted_first
  local recipe="${RECIPE:-aecrnet/zoo_its}"
  local data="${POSITIONAL[0]:-data}" name="${POSITIONAL[1]:-${recipe//\//_}}" table="${POSITIONAL[2]:-${RANK_TABLE_FILE:-}}"
  [ -d "$data" ] || fail "$data: no such folder; name the folder of the training data as the first argument"
  local folder="runs/$name"
  case "$name" in /*) folder="$name" ;; esac
  enter_launcher_environment
  if [ -n "$table" ]; then FLAGS+=(--rank-table "$table"); fi
  export PYTHONPATH="$ROOT/src${PYTHONPATH:+:$PYTHONPATH}"
  exec "$LAUNCH_PYTHON" -m mindrestore launch --device "$device" --log-dir "$folder/launch" ${FLAGS[@]+"${FLAGS[@]}"} -- \
    train --recipe "$recipe" --device "$device" --dir_data "$data" --filename "$name" ${EXTRA[@]+"${EXTRA[@]}"}
}

# launch_evaluation DEVICE ARGUMENTS: what the run_eval_* scripts have in common.
launch_evaluation() {
  local device="${MINDRESTORE_DEVICE:-$1}"
  shift
  split_arguments 2 "$@"
  local recipe="${RECIPE:-aecrnet/zoo_its}"
  local data="${POSITIONAL[0]:-data}" weights="${POSITIONAL[1]:-runs/${recipe//\//_}/best.ckpt}"
  [ -d "$data" ] || fail "$data: no such folder; name the folder of the test data as the first argument"
  [ -e "$weights" ] || fail "$weights: no such file; name a checkpoint, or a run folder or one of checkpoints, as the second argument"
  enter_launcher_environment
  require_device "$device"
  local source=(--weights "$weights" ${MODEL:+--model "$MODEL"})
  if [ -f "$weights/recipe.yaml" ]; then source=("$weights"); fi
  exec "$LAUNCH_PYTHON" "$ROOT/eval.py" --recipe "$recipe" "${source[@]}" --data "$data" --device "$device" \
    ${EXTRA[@]+"${EXTRA[@]}"}
}
