#!/usr/bin/env bash
# A Slurm job that is queued again and resumes whenever it is preempted or its time is over.
# Submit it from the root of the repository:
#   sbatch --partition=P --ntasks=8 --ntasks-per-node=8 --gres=gpu:8 --cpus-per-task=5 --time=4:00:00 \
#       tools/slurm_batch.sh CONFIG [options of tools/train.py]
# Two minutes before the end Slurm sends SIGTERM to the processes of srun, not to this script.
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
trap : TERM # preemption may signal this script, too: it has to outlive srun
code=0
# kill-on-bad-exit would kill the processes that have saved but not ended when the first one ends
srun --kill-on-bad-exit=0 --wait=60 "${PYTHON:-python}" -u tools/train.py "$1" --launcher slurm \
    --resume "${@:2}" || code=$?
if [ "$code" -eq 75 ]; then # stopped by a signal, and saved
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
