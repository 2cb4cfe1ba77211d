#!/usr/bin/env bash
# Export a checkpoint to MINDIR.
#
# Usage: run_export.sh [CKPT] [OUT] [-- flags of export.py ...]
#   CKPT  checkpoint, run folder, or folder of checkpoints, of which the newest is taken (default: runs/RECIPE/best.ckpt)
#   OUT   file to write (default: beside the checkpoint, with the suffix .mindir)
# Environment: MODEL (default aecrnet), RECIPE (default aecrnet/zoo_its, for the default CKPT), PYTHON,
#   MINDRESTORE_DEVICE (default CPU)
# Example: bash scripts/run_export.sh runs/first/best.ckpt first.mindir -- --size 480x640
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
split_arguments 2 "$@"
recipe="${RECIPE:-aecrnet/zoo_its}"
device="${MINDRESTORE_DEVICE:-CPU}"
weights="${POSITIONAL[0]:-runs/${recipe//\//_}/best.ckpt}"
[ -e "$weights" ] || fail "$weights: no such file; name a checkpoint or a run folder as the first argument"
out="${POSITIONAL[1]:-${weights%.*}.mindir}"
source=(--model "${MODEL:-aecrnet}" --weights "$weights")
if [ -f "$weights/recipe.yaml" ]; then
  source=("$weights")
  out="${POSITIONAL[1]:-$weights/model.mindir}"
fi
enter_launcher_environment
require_device "$device"
exec "$LAUNCH_PYTHON" "$ROOT/export.py" "${source[@]}" --out "$out" --device "$device" ${EXTRA[@]+"${EXTRA[@]}"}
