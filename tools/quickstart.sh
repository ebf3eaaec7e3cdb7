#!/usr/bin/env bash
# From nothing to a trained detector and a page with its predictions: bash tools/quickstart.sh
# Makes .venv, draws a COCO-format data set, trains Mask R-CNN with ViT-Tiny on it, evaluates it
# with the COCO metric and writes work_dirs/quickstart/index.html. About ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh
config=configs/shapes/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py
work=work_dirs/quickstart
data=data/shapes

echo '== 1/4 drawing the data set'
python tools/dataset_converters/make_shapes.py --tasks det --out "$data" \
    --train 600 --val 100 --size 192 --classes 4 --min-size 0.2 --max-objects 4 --class-colors
echo '== 2/4 training'
python tools/train.py "$config" --work-dir "$work" "$@"
echo '== 3/4 evaluating the last checkpoint'
python tools/test.py "$config" "$(cat "$work/last_checkpoint")" --work-dir "$work" \
    --out "$work/predictions.pkl"
echo '== 4/4 writing the page'
python tools/analysis_tools/report.py "$work" --predictions "$work/predictions.pkl"
