#!/usr/bin/env bash
# Train the recipe mprnet/deraining_light on real photographs with synthetic rain, and measure it on Rain100 images.
#   bash benchmarks/derain_real.sh DATA OUT [KEY=VALUE ...]
# DATA holds rain_train/{input,target} (pairs), bsds500_clean/target (clear photographs, which get rain here),
# rain100l/{input,target} and rain100h/{input,target}. Everything is written under OUT; run again, it goes on.
set -euo pipefail
data=$(realpath "$1")
out=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")/.."

if [ ! -f "$out/pairs.done" ]; then
  rm -rf "$out/pairs" && mkdir -p "$out/pairs/train" "$out/pairs/test"
  python haze_data.py synth "$data/bsds500_clean/target" "$out/pairs/synthetic" --kind rain --per-image 4 --seed 7
  mv "$out/pairs/synthetic/input" "$out/pairs/synthetic/target" "$out/pairs/train"
  for side in input target; do
    for file in "$data/rain_train/$side"/*; do # five links each: a third of the patches come from these
      for copy in 0 1 2 3 4; do ln -s "$file" "$out/pairs/train/$side/rain_train_${copy}_$(basename "$file")"; done
    done
    ln -s "$data/rain100l/$side" "$out/pairs/test/$side"
  done
  touch "$out/pairs.done"
fi
python train.py --recipe mprnet/deraining_light "data.root=$out/pairs" --run-dir "$out/run" "$@"
for set in rain100l rain100h; do
  python eval.py "$out/run" --data "$data/$set" --protocol mpr-derain --out "$out/report_$set"
done
