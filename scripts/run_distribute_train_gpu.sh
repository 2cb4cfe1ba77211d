#!/usr/bin/env bash
# Train on GPUs, of one machine or several.
#
# Usage: run_distribute_train_gpu.sh [TRAIN_DATA_DIR] [FILE_NAME] [RANK_TABLE_FILE] [flags] [-- KEY=VALUE or flags of train.py ...]
#   TRAIN_DATA_DIR   folder of the data set (default: data)
#   FILE_NAME        name of the run; results go to runs/FILE_NAME (default: the recipe's name)
#   RANK_TABLE_FILE  rank table (JSON): one process per entry; Ascend only (default: none, msrun forms a dynamic cluster)
# Flags, or the environment variable behind them:
#   --device-num N        DEVICE_NUM       processes on this machine (default: every /dev/nvidia*)
#   --visible-devices L   VISIBLE_DEVICES  devices to use, such as 0,1,2,3 (default: all)
#   --node-num N          NODE_NUM         machines (default: 1)
#   --node-rank N         NODE_RANK        number of this machine, from 0; needed with several
#   --master-addr HOST    MASTER_ADDR      address of machine 0 (default: 127.0.0.1)
#   --master-port PORT    MASTER_PORT      free port of machine 0 (default: one that is found; 8118 with several machines)
#   --mpi                                  start by Open MPI's mpirun
#   --max-restarts N                       after a crash go on from the last checkpoint, at most N times (default: 0)
#   --log-dir DIR                          logs of all processes (default: runs/FILE_NAME/launch)
#   --dry-run                              print what would be started, and start nothing
# Environment: RECIPE (default aecrnet/zoo_its), PYTHON, MINDRESTORE_DEVICE (CPU, GPU or Ascend instead of GPU)
# Example: bash scripts/run_distribute_train_gpu.sh /data/RESIDE first --max-restarts 3 -- train.batch_size=8
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch_distributed GPU "$@"
