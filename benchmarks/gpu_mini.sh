#!/bin/sh
# Trains the 22 M base of `mini` on one GPU within ten minutes, and measures it before and after.
#
#   benchmarks/gpu_mini.sh FOLDER CHECKPOINT
#
# CHECKPOINT is the pipeline's folder to go on from. Each stage of the recipe leaves FOLDER/run/checkpoint anew, so that
# a run that is cut off is not lost; the same command goes on from FOLDER/run/state.pt. Printed at the end: for both, PSNR
# where the video changes and where it stays on held-out scenes with true meshes, and the same with LPIPS (where its
# weights are there) on scenes with lifted meshes. Set in the environment, if need be:
#
#   R2S2R      the command (r2s2r)             RECIPE   of r2s2r train base (mini-gpu-previews)
#   SECONDS_MOST  for the training (530)       SCENES   measured of each kind (6)
#   PARTS      any of "before train after"     WORKERS  processes that make scenes (all cores)
set -eu

folder=$1
start=$2
r2s2r=${R2S2R:-r2s2r}
recipe=${RECIPE:-mini-gpu-previews}
scenes=${SCENES:-6}
workers=${WORKERS:-$(nproc)}
parts=${PARTS:-before train after}
mkdir -p "$folder"

lpips=--lpips
python3 -c 'from real2sam2real.lab.evaluate.perceptual import load_lpips; load_lpips()' 2>"$folder/lpips.log" || lpips=""

measure() { # NAME CHECKPOINT
    for kind in "" --lifted; do
        $r2s2r evaluate held-out -o "$folder/$1$kind" --checkpoint "$2" --scenes "$scenes" --workers "$workers" \
            --pictured 4 $kind $lpips >"$folder/$1$kind.log" 2>&1 || echo "$1 $kind could not be measured, see its .log"
    done
}

for part in $parts; do
    began=$(date +%s)
    case $part in
        before) measure before "$start" ;;
        train)
            # A cut is no fault: what is exported so far is measured.
            timeout --signal=INT --kill-after=20 "${SECONDS_MOST:-530}" \
                $r2s2r train base "$recipe" -o "$folder/run" --checkpoint "$start" --compile \
                >"$folder/train.log" 2>&1 || echo "the training ended early: $(tail -n 1 "$folder/train.log")"
            ;;
        after) measure after "$folder/run/checkpoint" ;;
        *) echo "no such part: $part" >&2 && exit 2 ;;
    esac
    echo "$part: $(($(date +%s) - began)) s"
done

for table in "$folder"/*/scores.md; do
    echo "$table" && cat "$table"
done
if [ -f "$folder/run/losses.jsonl" ]; then
    echo "steps: $(wc -l <"$folder/run/losses.jsonl"); $(tail -n 1 "$folder/run/losses.jsonl")"
fi
