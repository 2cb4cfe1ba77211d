#!/usr/bin/env bash
# Train dehazeformer_t three times, alone, with other data sets, and with these in the tone of the first, and measure each.
#   bash benchmarks/cross_real.sh DATA OUT [KEY=VALUE ...]
# DATA holds bsds500_clean/target (clear photographs, which get haze here), ihaze_small and ntire26_night_half (real pairs,
# which join the training) and the test sets sots_indoor, sots_outdoor, reside6k_outdoor and nh_haze_half, all {hazy,clear}.
# Everything is written under OUT; run again, it goes on.
set -euo pipefail
data=$(realpath "$1")
out=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")/.."

if [ ! -f "$out/pairs.done" ]; then
  rm -rf "$out/pairs" && mkdir -p "$out/pairs"
  python haze_data.py synth "$data/bsds500_clean/target" "$out/pairs/synthetic" --per-image 4 --seed 7
  ln -s "$data/ihaze_small" "$data/ntire26_night_half" "$out/pairs"
  touch "$out/pairs.done"
fi
# The exponents that bring the mean of each colour of a set's hazy images to that of the synthetic ones.
gamma() {
  python - "$out/pairs/$1/hazy" "$out/pairs/synthetic/hazy" <<'PY'
import sys
from pathlib import Path

import numpy as np

from mindrestore.images.read import read_image

means = [np.mean([read_image(p).mean((0, 1)) for p in sorted(Path(d).iterdir())], 0) / 255 for d in sys.argv[1:]]
print([round(float(g), 3) for g in np.log(means[0]) / np.log(means[1])])
PY
}
room=$(gamma ihaze_small)
night=$(gamma ntire26_night_half)
echo "exponents: ihaze_small $room, ntire26_night_half $night"
for kind in alone mixed toned; do
  case $kind in
    alone) mix="[{root: synthetic}]" ;;
    mixed) mix="[{root: synthetic, share: 6}, {root: ihaze_small, share: 3}, {root: ntire26_night_half, share: 1}]" ;;
    toned) mix="[{root: synthetic, share: 6}, {root: ihaze_small, share: 3, gamma: $room}, {root: ntire26_night_half, share: 1, gamma: $night}]" ;;
  esac
  python train.py --recipe dehazeformer/cross_light "data.root=$out/pairs" "data.mix=$mix" --run-dir "$out/$kind" "$@"
  for set in sots_indoor sots_outdoor reside6k_outdoor nh_haze_half; do
    python eval.py "$out/$kind" --data "$data/$set" --protocol dehazeformer --out "$out/report_${kind}_$set"
  done
done
