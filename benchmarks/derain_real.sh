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
  for file in "$data"/rain_train/target/*; do # five links to each rainy image: a third of the patches come from these
    name=$(basename "$file")
    ln -s "$file" "$out/pairs/train/target/real-$name"
    for copy in 1 2 3 4 5; do ln -s "$data/rain_train/input/$name" "$out/pairs/train/input/real-${name%.*}_$copy.${name##*.}"; done
  done
  ln -s "$data/rain100l/input" "$data/rain100l/target" "$out/pairs/test"
  touch "$out/pairs.done"
fi
python train.py --recipe mprnet/deraining_light "data.root=$out/pairs" --run-dir "$out/run" "$@"
for set in rain100l rain100h; do
  python eval.py "$out/run" --data "$data/$set" --protocol mpr-derain --out "$out/report_$set"
done
