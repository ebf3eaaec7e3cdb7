#!/usr/bin/env bash
# Evaluate on a Slurm cluster:
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# GPUS (in all), GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS come from the environment.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=''] $0 PARTITION JOB_NAME" \
        "CONFIG CHECKPOINT [options]" >&2
    exit 2
fi
if ! command -v srun > /dev/null; then
    echo "error: srun is not found: on a machine without Slurm, use tools/dist_test.sh" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
# SRUN_ARGS holds several words
# shellcheck disable=SC2086
exec srun --partition="$1" \
    --job-name="$2" \
    --gres=gpu:"$per_node" \
    --ntasks="$gpus" \
    --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$tools/test.py" "$3" "$4" --launcher slurm "${@:5}"
