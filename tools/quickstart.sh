#!/usr/bin/env bash
# From nothing to a trained detector and a page with its predictions: bash tools/quickstart.sh
# Makes .venv, draws a COCO-format data set, trains Mask R-CNN with ViT-Tiny on it, evaluates it
# with the COCO metric and writes work_dirs/quickstart/index.html: seven minutes on two cores after
# the installation. Interrupted, it goes on where it stopped. Options go to tools/train.py.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh
config=configs/shapes/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py
work=work_dirs/quickstart

echo '== 1/4 drawing the data set'
# the config itself says how its data are made
make_data=$(python -c "from mmengine.config import Config; print(Config.fromfile('$config').make_data)")
$make_data
echo '== 2/4 training'
python tools/train.py "$config" --work-dir "$work" --resume "$@"
echo '== 3/4 evaluating the last checkpoint'
python tools/test.py "$config" "$(cat "$work/last_checkpoint")" --work-dir "$work" \
    --out "$work/predictions.pkl"
echo '== 4/4 writing the page'
python tools/analysis_tools/report.py "$work" --predictions "$work/predictions.pkl"
