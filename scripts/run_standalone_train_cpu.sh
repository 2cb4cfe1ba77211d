#!/usr/bin/env bash
# Train on one CPU device.
#
# Usage: run_standalone_train_cpu.sh [TRAIN_DATA_PATH] [FILENAME] [-- KEY=VALUE or flags of train.py ...]
#   TRAIN_DATA_PATH  folder of the data set (default: data)
#   FILENAME         name of the run; results go to runs/FILENAME (default: the recipe's name)
# Environment: RECIPE (default aecrnet/zoo_its), PYTHON, MINDRESTORE_DEVICE (CPU, GPU or Ascend instead of CPU)
# Example: bash scripts/run_standalone_train_cpu.sh /data/RESIDE first -- train.batch_size=8
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch_training CPU "$@"
