#!/usr/bin/env bash
# Do data for academic use help the included weights? Let each of the three go on twice for the same steps, once with such
# data among the pairs and once without, and measure both on the real test sets.
#   bash benchmarks/research_real.sh DATA RELEASE OUT [KEY=VALUE ...]
# RELEASE is made by scripts/release_data.py (docs/weights.md).
# DATA holds bsds500_clean/target (clear photographs), rain_train/{input,target}, and the test sets of benchmarks/quality.py.
# Everything is written under OUT; run again, it goes on.
set -euo pipefail
data=$(realpath "$1")
release=$(realpath "$2")
out=$(realpath -m "$3")
shift 3
cd "$(dirname "$0")/.."

if [ ! -f "$out/pairs.done" ]; then
  rm -rf "$out/pairs" && mkdir -p "$out/pairs/noise"
  python haze_data.py synth "$data/bsds500_clean/target" "$out/pairs/bsds_plain" --per-image 4 --seed 11
  ln -s "$release/haze" "$release/plain" "$release/rain" "$data/rain_train" "$out/pairs"
  ln -s "$release/noise/train" "$release/noise/test" "$out/pairs/noise"
  ln -s "$data/bsds500_clean/target" "$out/pairs/noise/bsds"
  cp "$release/noise/train.csv" "$out/pairs/noise/free.csv"
  { cat "$out/pairs/noise/free.csv" && for _ in 1 2 3; do
    for file in "$data"/bsds500_clean/target/*; do echo "bsds/${file##*/},bsds/${file##*/}"; done
  done; } >"$out/pairs/noise/mixed.csv"
  touch "$out/pairs.done"
fi

# train TASK KIND KEY=VALUE ...: go on from the included weights.
train() {
  local task=$1 kind=$2
  shift 2
  python train.py --recipe "release/$task" "model.weights=${task}_free" then=null train.max_steps=800 train.val_every=400 \
    train.seed=11 optim.lr=4e-4 --run-dir "$out/${task}_$kind" "$@"
  python benchmarks/quality.py --data "$data" --task "$task" --weights "$task=$out/${task}_$kind" --out "$out/scores_${task}_$kind"
}
haze="[{root: haze, share: 2}, {root: plain, share: 2}]"
haze_mixed="[{root: haze, share: 2}, {root: plain, share: 1}, {root: bsds_plain, share: 1}]"
large=(data.patch_size=128 train.batch_size=2)
train dehaze mixed "data.root=$out/pairs" "data.mix=$haze_mixed" "validation.sets=[{name: haze, root: haze}]" "${large[@]}" "$@"
train dehaze free "data.root=$out/pairs" "data.mix=$haze" "validation.sets=[{name: haze, root: haze}]" "${large[@]}" "$@"
train denoise mixed "data.root=$out/pairs/noise" data.train_list=mixed.csv "$@"
train denoise free "data.root=$out/pairs/noise" data.train_list=free.csv "$@"
rain="[{root: rain, share: 2}]"
rain_mixed="[{root: rain, share: 2}, {root: rain_train, share: 1}]"
train derain mixed "data.root=$out/pairs" "data.mix=$rain_mixed" "validation.sets=[{name: rain, root: rain}]" "$@"
train derain free "data.root=$out/pairs" "data.mix=$rain" "validation.sets=[{name: rain, root: rain}]" "$@"
