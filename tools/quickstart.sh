#!/usr/bin/env bash
# From nothing to a pre-trained and fine-tuned detector and a page about it: bash tools/quickstart.sh
# Makes .venv, generates data, pre-trains a ViT-Tiny by MAE, distils it into another by D2-MAE, trains
# Mask R-CNN from that, evaluates it with the COCO metric and writes work_dirs/quickstart/index.html:
# less than ten minutes on two cores after the installation. Interrupted, it goes on where it
# stopped. Options go to the training of the detector.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh
recipe=8xb512-amp-coslr-400e_in1k_shapes.py
mae=configs/shapes/pretrain/mae/mae_vit-tiny_$recipe
d2mae=configs/shapes/pretrain/d2-mae/d2-mae_vit-tiny_$recipe
detector=configs/shapes/det/mask-rcnn_vit-tiny-sfp_d2-mae-init_8xb8-amp-lsj-100e_coco-640px_shapes.py
work=work_dirs/quickstart
epochs=8
short="train_cfg.max_epochs=$epochs param_scheduler.1.end=$epochs"
teacher=$work/mae/epoch_$epochs.pth
student=$work/d2-mae/epoch_$epochs.pth

echo '== 1/7 generating the data'
for config in "$mae" "$detector"; do
    # a config says how its data are generated
    $(python -c "from mmengine.config import Config; print(Config.fromfile('$config').make_data)")
done
echo '== 2/7 pre-training the teacher: MAE'
python tools/train.py "$mae" --work-dir "$work/mae" --resume --cfg-options $short
echo '== 3/7 pre-training the student: D2-MAE'
python tools/train.py "$d2mae" --work-dir "$work/d2-mae" --resume --cfg-options $short \
    model.distill.teacher.init_cfg.checkpoint="$teacher"
echo '== 4/7 drawing what it reconstructs'
python tools/analysis_tools/vis_reconstruction.py "$d2mae" "$student" --num 6 \
    --out "$work/reconstructions.png"
echo '== 5/7 training the detector'
python tools/train.py "$detector" --work-dir "$work" --resume \
    --cfg-options model.backbone.init_cfg.checkpoint="$student" "$@"
echo '== 6/7 evaluating the last checkpoint'
python tools/test.py "$detector" "$(cat "$work/last_checkpoint")" --work-dir "$work" \
    --out "$work/predictions.pkl"
echo '== 7/7 writing the page'
python tools/analysis_tools/report.py "$work" --predictions "$work/predictions.pkl" \
    --reconstructions "$work/reconstructions.png" \
    --title 'Mask R-CNN on generated images, its ViT-Tiny pre-trained by D2-MAE'
