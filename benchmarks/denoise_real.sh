#!/usr/bin/env bash
# Train the recipe dsrir/noise_light on real photographs, and measure it on CBSD68 and Kodak images at three noise levels.
#   bash benchmarks/denoise_real.sh DATA OUT [KEY=VALUE ...]
# DATA holds bsds500_clean/target, cbsd68/target and kodak24/target (clear photographs). Everything is written under OUT:
# the run, a report per test set with table and pictures, and steps.png, the loss and the PSNR over the steps. Run again,
# it goes on.
set -euo pipefail
data=$(realpath "$1")
out=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")/.."

mkdir -p "$out/data"
for set in bsds500_clean cbsd68 kodak24; do ln -sfn "$data/$set/target" "$out/data/$set"; done
ln -sfn cbsd68 "$out/data/test"
[ -f "$out/data/train_noise.csv" ] ||
  python haze_data.py list noise --root "$out/data" --folders bsds500_clean --out "$out/data/train_noise.csv"
python train.py --recipe dsrir/noise_light "data.root=$out/data" --run-dir "$out/run" "$@"
for set in cbsd68 kodak24; do
  python eval.py "$out/run" --mode noise --denoise_path "$out/data/$set" --out "$out/report_$set"
done
if python -c 'import matplotlib' 2>/dev/null; then
  python benchmarks/curves.py "$out/steps.png" "sigma 25=$out/run"
else
  echo "no curves: pip install 'mindrestore[plots]' and run this again"
fi
