#!/usr/bin/env bash
# Check a release: build sdist and wheel, install the wheel alone, restore a photograph and train two steps with it.
#
# Usage: check_release.sh [FOLDER]
# FOLDER (build/release) gets dist/ with both files, and an environment of its own with the newest versions that are accepted.
# MINDRESTORE_SKIP_INSTALL=1 installs nothing but the wheel, and takes what it needs from the active environment.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
case "${1:-}" in
  -*) split_arguments 0 --help ;;
esac
mkdir -p "${1:-$ROOT/build/release}"
FOLDER="$(cd "${1:-$ROOT/build/release}" && pwd)"
rm -rf "$FOLDER/dist" "$FOLDER/work" "$FOLDER/site"
mkdir -p "$FOLDER/dist" "$FOLDER/work"
isolated=()
if [ "${MINDRESTORE_SKIP_INSTALL:-0}" = 1 ]; then
  use_environment
  isolated=(--no-build-isolation)
else
  make_environment "$FOLDER/venv"
  python -m pip install --quiet --disable-pip-version-check "pip>=21.3" "setuptools>=68"
fi

say "building the sdist, and the wheel from it"
git -C "$ROOT" archive --format=tar HEAD | tar -x -C "$FOLDER/work" # what is committed, nothing else
(cd "$FOLDER/work" && python -c 'from setuptools import build_meta; build_meta.build_sdist("../dist")' >build.log 2>&1) ||
  fail "the sdist cannot be built; see build.log in $FOLDER/work"
python -m pip wheel --quiet --disable-pip-version-check --no-deps ${isolated[@]+"${isolated[@]}"} -w "$FOLDER/dist" "$FOLDER"/dist/*.tar.gz
rm -rf "$FOLDER/work" && mkdir "$FOLDER/work"

say "installing the wheel alone"
if [ "${MINDRESTORE_SKIP_INSTALL:-0}" = 1 ]; then
  python -m pip install --quiet --disable-pip-version-check --no-deps --target "$FOLDER/site" "$FOLDER"/dist/*.whl
  export PYTHONPATH="$FOLDER/site"
else
  python -m pip install --quiet --disable-pip-version-check --force-reinstall "$FOLDER"/dist/*.whl
  unset PYTHONPATH
fi
cd "$FOLDER/work"
home="$(python -c 'import mindrestore, os; print(os.path.dirname(mindrestore.__file__))')"
case "$home" in
  "$FOLDER"/*) ;;
  *) fail "mindrestore was imported from $home instead of $FOLDER" ;;
esac

say "restoring a photograph"
python -m mindrestore data scenes scenes --count 4 --size 96x80 --seed 1
python -m mindrestore data synth scenes/clear data/train --seed 1
cp -r data/train data/test
photo="$(find data/test/hazy -type f | sort | head -n 1)"
python -m mindrestore restore "$photo" --task dehaze --out clean
[ -s "clean/$(basename "$photo")" ] || fail "no clean/$(basename "$photo") was written"

say "training two steps"
python -m mindrestore train --recipe quickstart data.root=data train.max_steps=2 train.batch_size=2 data.patch_size=32 data.workers=1 \
  train.device=CPU
[ -s runs/quickstart/best.ckpt ] || fail "no runs/quickstart/best.ckpt was written"
say "the release is good: $(cd "$FOLDER/dist" && echo *)"
