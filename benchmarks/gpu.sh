#!/bin/sh
# Everything that only a GPU can tell of the 14 B model, in ten minutes of one, the most important first.
#
#   benchmarks/gpu.sh FOLDER               # on a machine with a GPU
#   benchmarks/gpu.sh FOLDER --tiny        # the same on a tiny model, on any machine
#
# FOLDER gets placement.log (every memory plan's weights are where they should be and compute what plain ones do:
# pytest -m gpu) and times.json (resident, products in float8, the autoencoder alone in both memory layouts, compiled,
# rounded and streamed weights, a fine-tuning step at 720p, and more: benchmarks/generate.py time). Nothing is
# downloaded, and no other GPU is asked for. The file of times is whole after each case, so that a run that is cut off
# is not lost. Set in the environment, if need be:
#
#   PYTHON     the interpreter (python)        SECONDS_MOST  for the times (480)
#   PARTS      any of "placement times"        CASES         of benchmarks/generate.py time (all)
set -eu

folder=$1
tiny=${2:-}
python=${PYTHON:-python}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"

for part in ${PARTS:-placement times}; do
    began=$(date +%s)
    case $part in
        placement)
            only="-m gpu"
            [ -z "$tiny" ] || only="-k every_plan"
            # shellcheck disable=SC2086
            timeout 90 "$python" -m pytest "$here/tests/diffusion/memory/test_apply.py" $only -rs \
                >"$folder/placement.log" 2>&1 || echo "placement failed, see $folder/placement.log"
            tail -n 2 "$folder/placement.log"
            ;;
        times)
            # shellcheck disable=SC2086
            "$python" "$here/benchmarks/generate.py" time -o "$folder/times.json" --seconds "${SECONDS_MOST:-480}" \
                ${CASES:+--case $CASES} $tiny 2>"$folder/times.log" || echo "times failed, see $folder/times.log"
            ;;
        *) echo "no such part: $part" >&2 && exit 2 ;;
    esac
    echo "$part: $(($(date +%s) - began)) s"
done
