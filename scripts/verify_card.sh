#!/usr/bin/env bash
# Check a card: what to run first where there is one, ten minutes, unattended. One page of results is what to send back.
#
# Usage: verify_card.sh [OUT]
#   OUT  folder for the page (report.md), logs and runs (default: runs/verify_card)
# Steps: doctor; every network against the numbers of the published ones; 50 training steps with their times; a loss scale
# that overflows; two cards where there are two; export; restoring with what was trained. A step that fails does not stop
# the others, and none begins when the ten minutes are over; the exit code is 1 then.
# Environment: MINDRESTORE_DEVICE (Ascend, GPU or CPU; default: the best there is), VERIFY_STEPS (default 50),
#   VERIFY_NETWORKS (default: all), VERIFY_CARDS (processes of the step with two cards; default 2, on one card 0),
#   VERIFY_OVERRIDES (key=value words for the training), VERIFY_PATIENCE (all may take so many times as long; default 1), PYTHON
# Example: MINDRESTORE_DEVICE=GPU bash scripts/verify_card.sh /tmp/verify
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
split_arguments 1 "$@"
OUT="${POSITIONAL[0]:-runs/verify_card}"
STEPS="${VERIFY_STEPS:-50}"
enter_launcher_environment
export PYTHONPATH="$ROOT/src${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$OUT/logs"
OUT="$(cd "$OUT" && pwd)"
REPORT="$OUT/report.md"
FAILED=0
PATIENCE="${VERIFY_PATIENCE:-1}"
END=$((SECONDS + 600 * PATIENCE))

device="${MINDRESTORE_DEVICE:-$("$LAUNCH_PYTHON" -c 'from mindrestore.engine.context import available_devices; print(available_devices()[0])')}"
require_device "$device"
cards="${VERIFY_CARDS:-$("$LAUNCH_PYTHON" -c 'import sys; from mindrestore.launch.plan import visible_devices; print(min(2, len(visible_devices(sys.argv[1]))))' "$device")}"

# step NAME SECONDS COMMAND...: run a command for at most so long, and put its result and last line into the page.
step() {
  local name="$1" limit="$2" log begin result last
  shift 2
  log="$OUT/logs/${name// /_}.log"
  say "$name"
  begin="$SECONDS"
  limit=$((limit * PATIENCE))
  if [ "$limit" -gt $((END - begin)) ]; then limit=$((END - begin)); fi
  if [ "$limit" -le 0 ]; then
    FAILED=1
    printf '| %s | left out | 0 s | the time is over; VERIFY_PATIENCE=2 gives twice as much |\n' "$name" >>"$REPORT"
    return
  fi
  if timeout --kill-after=5 "$limit" "$@" >"$log" 2>&1; then result=ok; else result="failed ($?)" FAILED=1; fi
  last="$(tr '\r' '\n' <"$log" | grep -v '^ *$' | tail -n 1 | cut -c 1-160 | tr '|' '/')" || true
  printf '| %s | %s | %s s | %s |\n' "$name" "$result" "$((SECONDS - begin))" "$last" >>"$REPORT"
  echo "   $result: $last"
}

train() { # NAME OVERRIDES...
  local name="$1"
  shift
  step "train $name" 240 "$LAUNCH_PYTHON" -m mindrestore train --recipe quickstart --device "$device" --no-resume \
    "data.root=$OUT/data" "output.root=$OUT/runs" "output.name=$name" "train.max_steps=$STEPS" train.log_every=10 \
    train.val_every=0 ${OVERRIDES[@]+"${OVERRIDES[@]}"} "$@"
}

{
  echo "# Check of $device"
  echo
  echo '```'
  timeout 60 "$LAUNCH_PYTHON" -m mindrestore doctor 2>&1 || FAILED=1
  echo '```'
  echo
  echo "| step | result | time | last line |"
  echo "|---|---|---|---|"
} >"$REPORT"

read -r -a networks <<<"${VERIFY_NETWORKS:-}"
read -r -a OVERRIDES <<<"${VERIFY_OVERRIDES:-}"
step "golden parity" 300 "$LAUNCH_PYTHON" "$ROOT/benchmarks/verify_parity.py" --device "$device" --out "$OUT/parity.jsonl" \
  ${networks[@]+--network "${networks[@]}"}
rm -rf "$OUT/scenes" "$OUT/data" # rendered anew: the same ones every time
step "scenes" 120 "$LAUNCH_PYTHON" -m mindrestore data scenes "$OUT/scenes" --count 8 --size 160x120
step "haze" 60 "$LAUNCH_PYTHON" -m mindrestore data synth "$OUT/scenes/clear" "$OUT/data/train"
train plain
if [ "$device" != CPU ]; then train half train.amp=float16 loss_scale.kind=dynamic; fi
# 2^24 overflows float16 at once: steps are skipped until the divided scale fits, and the weights stay finite
train overflow train.amp=float16 loss_scale.kind=dynamic loss_scale.value=16777216 loss_scale.factor=16
if [ "$cards" -ge 2 ]; then
  step "two cards" 240 "$LAUNCH_PYTHON" -m mindrestore launch --device "$device" --device-num "$cards" \
    --log-dir "$OUT/launch" -- train --recipe quickstart --device "$device" --no-resume "data.root=$OUT/data" \
    "output.root=$OUT/runs" output.name=two "train.max_steps=$STEPS" train.log_every=10 train.val_every=0 \
    ${OVERRIDES[@]+"${OVERRIDES[@]}"}
fi
step "export" 120 "$LAUNCH_PYTHON" -m mindrestore export "$OUT/runs/plain" --device "$device" --out "$OUT/model.mindir"
step "restore" 120 "$LAUNCH_PYTHON" -m mindrestore restore "$OUT/data/train/hazy" --model aecrnet \
  --weights "$OUT/runs/plain" --out "$OUT/restored" --overwrite --no-report --device "$device"

{
  echo
  echo "## Networks against the published numbers"
  echo
  echo '```'
  cat "$OUT/logs/golden_parity.log"
  echo '```'
  for name in plain half overflow two; do
    [ -f "$OUT/runs/$name/log.txt" ] || continue
    printf '\n## Training: %s\n\n```\n' "$name"
    grep -E 'step|epoch|loss scale' "$OUT/runs/$name/log.txt" | tail -n 12
    echo '```'
  done
} >>"$REPORT"
cat "$REPORT"
say "the page to send back: $REPORT"
exit "$FAILED"
