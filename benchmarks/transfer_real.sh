#!/usr/bin/env bash
# Train mpilnet on a few real hazy photographs, from VGG-16 and from scratch, and measure both on images that neither saw.
#   bash benchmarks/transfer_real.sh DATA VGG16 OUT [KEY=VALUE ...]
# DATA holds ihaze_small/{hazy,clear} and nh_haze_half/{hazy,clear}; VGG16 is a file of ImageNet weights. The test images are
# every fourth one of ihaze_small and the last one of nh_haze_half. Everything is written under OUT; run again, it goes on.
set -euo pipefail
data=$(realpath "$1")
vgg=$(realpath "$2")
out=$(realpath -m "$3")
shift 3
cd "$(dirname "$0")/.."

link() { # SET NAME WHERE SPLIT: a pair under one name in both folders, hazy in A and clear in B
  ln -s "$data/$1/hazy/$2" "$3/$4A/$1-$2"
  ln -s "$data/$1/clear/$2" "$3/$4B/$1-$2"
}
if [ ! -f "$out/pairs.done" ]; then
  rm -rf "$out/pairs" && mkdir -p "$out/pairs/all"/{trainA,trainB,testA,testB} "$out/pairs"/{ihaze_small,nh_haze_half}/{testA,testB}
  for set in ihaze_small nh_haze_half; do
    number=0
    total=$(ls "$data/$set/clear" | wc -l)
    for name in $(ls "$data/$set/clear"); do
      number=$((number + 1))
      split=train
      if [ $set = ihaze_small ] && [ $((number % 4)) = 0 ]; then split=test; fi
      if [ $set = nh_haze_half ] && [ $number = "$total" ]; then split=test; fi
      link $set "$name" "$out/pairs/all" $split
      if [ $split = test ]; then link $set "$name" "$out/pairs/$set" test; fi
    done
  done
  touch "$out/pairs.done"
fi
for start in vgg scratch; do
  if [ $start = vgg ]; then file=$vgg; else file=null; fi
  # No validation: the weights after the last step are measured, and nothing is chosen on the test images.
  python train.py --recipe mpilnet/nh_haze "data.root=$out/pairs/all" data.patch_size=64 train.batch_size=2 \
    train.max_steps=300 train.val_every=0 train.log_every=20 train.checkpoint_every=50 train.checkpoint_unit=step \
    schedule.unit=step output.best_name=null "model.encoder_weights=$file" --run-dir "$out/$start" "$@"
  for set in ihaze_small nh_haze_half; do
    python eval.py "$out/$start" --data "$out/pairs/$set" --dataset ab_folders --out "$out/report_${start}_$set"
  done
done
