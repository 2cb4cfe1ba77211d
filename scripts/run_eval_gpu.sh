#!/usr/bin/env bash
# Evaluate a checkpoint on one GPU device.
#
# Usage: run_eval_gpu.sh [DATA_PATH] [CKPT] [-- flags of eval.py ...]
#   DATA_PATH  folder of the test data (default: data)
#   CKPT       checkpoint, run folder, or folder of checkpoints, of which the newest is taken (default: runs/RECIPE/best.ckpt)
# Environment: RECIPE (default aecrnet/zoo_its: network, test set and protocol), MODEL (another network), PYTHON,
#   MINDRESTORE_DEVICE (CPU, GPU or Ascend instead of GPU)
# Example: bash scripts/run_eval_gpu.sh /data/Dense runs/first/best.ckpt -- --protocol aecr
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch_evaluation GPU "$@"
