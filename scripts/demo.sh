#!/usr/bin/env bash
# Train a network from scratch and look at the result: at most 10 minutes on 2 CPU cores (cross, which compiles twice, takes
# longer), no download of data.
#
# Usage: demo.sh [haze|rain|all|cross]
# Trains the recipe quickstart (AECR-Net for haze), quickstart_derain (MPRNet for rain), quickstart_allinone (DSRIR
# for noise, rain and haze) or quickstart_cross (DehazeFormer-T in the two stages of CrossDehaze) on rendered scenes.
# Works in the active environment, or makes .venv. Everything goes to runs/RECIPE (the second stage of
# cross to a folder beside it whose name ends in _stage2); DEMO_OUT=FOLDER changes that.
# Run it again: finished steps are kept, an interrupted training is resumed.
# MINDRESTORE_SKIP_INSTALL=1 installs nothing; DEMO_SCENES, DEMO_TEST_SCENES and DEMO_OVERRIDES (key=value words) shrink it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
split_arguments 1 "$@"
case "${POSITIONAL[0]:-haze}" in
  haze) recipe=quickstart input=hazy floor=3 ;;
  rain) recipe=quickstart_derain input=input floor=3 ;;
  all) recipe=quickstart_allinone input=haze/input floor=0.5 ;;
  cross) recipe=quickstart_cross input=hazy floor=3 ;;
  *) fail "unknown kind ${POSITIONAL[0]}; use haze, rain, all or cross" ;;
esac
OUT="${DEMO_OUT:-$ROOT/runs/$recipe}"
RUN="$OUT" # the folder of the trained network
if [ "$recipe" = quickstart_cross ]; then RUN="${OUT%/}_stage2"; fi
SCENES="${DEMO_SCENES:-120}"
TEST_SCENES="${DEMO_TEST_SCENES:-12}"
LEAST_GAIN="${DEMO_LEAST_GAIN:-$floor}" # dB, for every task
read -r -a OVERRIDES <<<"${DEMO_OVERRIDES:-}"

# make_pairs SPLIT COUNT SEED: rendered scenes, and haze or rain over them, once.
make_pairs() {
  local folder="$OUT/data/$1" scenes="$OUT/scenes/$1" done_mark="$OUT/data/$1/.complete-$2-$3"
  if [ -f "$done_mark" ]; then
    say "keeping the $1 scenes in $folder"
    return
  fi
  say "rendering $2 $1 scenes, clear and degraded, into $folder"
  rm -rf "$folder" "$scenes"
  if [ "$input" = hazy ]; then
    python "$ROOT/haze_data.py" scenes "$scenes" --count "$2" --size 160x120 --seed "$3"
    python "$ROOT/haze_data.py" synth "$scenes/clear" "$folder" --seed "$3"
  elif [ "$recipe" = quickstart_allinone ]; then
    python "$ROOT/haze_data.py" scenes "$folder" --kind all-in-one --count "$2" --size 160x120 --seed "$3"
  else
    python "$ROOT/haze_data.py" scenes "$folder" --kind rain --count "$2" --size 160x120 --seed "$3"
  fi
  touch "$done_mark"
}

use_environment
install_project .
mkdir -p "$OUT"
make_pairs train "$SCENES" 1
make_pairs test "$TEST_SCENES" 2

say "checking the pairs"
roots=("data.root=$OUT/data")
if [ "$recipe" = quickstart_allinone ]; then
  for task in rain haze; do python "$ROOT/haze_data.py" check "$OUT/data/train/$task"; done
  roots=("data.root=$OUT/data/train" "data.val_root=$OUT/data/test")
else
  python "$ROOT/haze_data.py" check "$OUT/data"
fi

say "training the recipe $recipe (several minutes on two cores)"
python "$ROOT/train.py" --recipe "$recipe" "${roots[@]}" --run-dir "$OUT" ${OVERRIDES[@]+"${OVERRIDES[@]}"}

say "evaluating on scenes that the network has never seen"
python "$ROOT/eval.py" "$RUN"

say "exporting to MINDIR"
python "$ROOT/export.py" "$RUN"

say "restoring the test images as if they were photographs"
python -m mindrestore restore "$OUT/data/test/$input" --weights "$RUN" --out "$RUN/restored" --overwrite

python - "$RUN/report" "$LEAST_GAIN" <<'PYTHON'
import json
import sys
from pathlib import Path

report = Path(sys.argv[1])
several = report / "summary.json"
if several.is_file():
    measured = {entry["set"]: entry["means"] for entry in json.loads(several.read_text(encoding="utf-8"))["sets"]}
else:
    measured = {"unseen scenes": json.loads((report / "scores.json").read_text(encoding="utf-8"))["means"]}
for name, means in measured.items():
    before, restored = means["input"]["psnr"], means["restored"]["psnr"]
    print(f"== PSNR on {name}: input {before:.2f} dB, restored {restored:.2f} dB, gain {restored - before:.2f} dB")
    if restored - before < float(sys.argv[2]):
        sys.exit(f"error: the gain is below {sys.argv[2]} dB; see {report}")
PYTHON

say "done; look at"
if [ -f "$RUN/report/summary.txt" ]; then
  echo "  before and after  $RUN/report/*/pictures"
  echo "  scores            $RUN/report/summary.txt"
else
  echo "  before and after  $RUN/report/pictures"
  echo "  scores            $RUN/report/scores.csv"
fi
echo "  restored images   $RUN/restored"
echo "  MINDIR            $RUN/model.mindir"
echo "  in a browser      $RUN/report/index.html"
