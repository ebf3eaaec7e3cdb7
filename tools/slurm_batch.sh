#!/usr/bin/env bash
# A Slurm job that is queued again, and goes on, whenever its machines are taken back or its time
# is over; called in the folder of the suite:
#   sbatch --partition=P --ntasks=8 --ntasks-per-node=8 --gres=gpu:8 --cpus-per-task=5 --time=4:00:00 \
#       tools/slurm_batch.sh CONFIG [options of tools/train.py]
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
set -euo pipefail
if [ $# -lt 1 ] || [ -z "${SLURM_JOB_ID:-}" ]; then
    echo "usage: sbatch [options of sbatch] tools/slurm_batch.sh CONFIG [options]" >&2
    exit 2
fi
cd "${SLURM_SUBMIT_DIR:-.}"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
code=0
srun --kill-on-bad-exit=1 "${PYTHON:-python}" -u tools/train.py "$1" --launcher slurm --resume \
    "${@:2}" || code=$?
if [ "$code" -eq 75 ]; then # stopped by the signal, and saved
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
