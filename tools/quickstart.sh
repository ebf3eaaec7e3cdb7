#!/usr/bin/env bash
# From a clone to a pre-trained and fine-tuned detector and a page about it: bash tools/quickstart.sh
# Creates .venv, generates data, pre-trains a ViT-Tiny by MAE, distils it into another one by D2-MAE,
# fine-tunes Mask R-CNN from it, evaluates that with the COCO metric and writes
# work_dirs/quickstart/index.html: less than ten minutes on two cores after the installation.
# If interrupted, it resumes. Options go to the training of the detector.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh
recipe=8xb512-amp-coslr-400e_in1k_shapes.py
mae=configs/shapes/pretrain/mae/mae_vit-tiny_$recipe
d2mae=configs/shapes/pretrain/d2-mae/d2-mae_vit-tiny_$recipe
detector=configs/shapes/det/mask-rcnn_vit-tiny-sfp_d2-mae-init_8xb8-amp-lsj-100e_coco-640px_shapes.py
work=work_dirs/quickstart
epochs=8
teacher=$work/mae/epoch_$epochs.pth
student=$work/d2-mae/epoch_$epochs.pth

echo '== 1/7 generating data'
for config in "$mae" "$detector"; do
    # each config holds the command that generates its data
    $(python -c "from mmengine.config import Config; print(Config.fromfile('$config').make_data)")
done
echo '== 2/7 pre-training the teacher: MAE'
python tools/train.py "$mae" --work-dir "$work/mae" --resume --epochs $epochs \
    --cfg-options randomness.seed=0
echo '== 3/7 pre-training the student: D2-MAE'
python tools/train.py "$d2mae" --work-dir "$work/d2-mae" --resume --epochs $epochs \
    --cfg-options randomness.seed=0 model.distill.teacher.init_cfg.checkpoint="$teacher"
echo '== 4/7 drawing reconstructions'
python tools/analysis_tools/vis_reconstruction.py "$d2mae" "$student" --num 6 \
    --out "$work/reconstructions.png"
echo '== 5/7 fine-tuning the detector'
python tools/train.py "$detector" --work-dir "$work" --resume \
    --cfg-options randomness.seed=0 model.backbone.init_cfg.checkpoint="$student" "$@"
echo '== 6/7 evaluating the last checkpoint'
python tools/test.py "$detector" "$(cat "$work/last_checkpoint")" --work-dir "$work" \
    --out "$work/predictions.pkl"
echo '== 7/7 writing the page'
python tools/analysis_tools/report.py "$work" --predictions "$work/predictions.pkl" \
    --reconstructions "$work/reconstructions.png" \
    --title 'Mask R-CNN on ViT-Tiny, pre-trained by MAE and D2-MAE on generated images'
echo "== open $work/index.html; activate the environment by: . .venv/bin/activate"
