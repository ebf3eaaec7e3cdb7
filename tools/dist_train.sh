#!/usr/bin/env bash
# Train on several GPUs, or on several CPU processes where there is no GPU:
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# MAX_RESTARTS=3 restarts all processes from the last checkpoint when one of them fails.
# On several machines, on each of them:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=host PORT=29500 bash tools/dist_train.sh CONFIG GPUS
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: [NNODES=1 NODE_RANK=0 PORT=29500 MASTER_ADDR=127.0.0.1 MAX_RESTARTS=0] $0 CONFIG GPUS [options]" >&2
    exit 2
fi
case $2 in
auto | cpu | gpu | [1-9] | [1-9][0-9] | [1-9][0-9][0-9]) ;;
*)
    echo "error: GPUS is '$2': must be the number of processes, >= 1" >&2
    exit 2
    ;;
esac
tools=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
address=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500}
meet=(--node_rank="${NODE_RANK:-0}" --master_addr="$address" --master_port="$port")
if [ "${MAX_RESTARTS:-0}" -gt 0 ]; then # a store for each restart: a shared one would keep the old addresses
    meet=(--rdzv_backend=c10d --rdzv_endpoint="$address:$port" --rdzv_id=mmlite)
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
fi
exec "${PYTHON:-python}" "$tools/dist_run.py" \
    --nnodes="${NNODES:-1}" \
    "${meet[@]}" \
    --nproc_per_node="$2" \
    --max_restarts="${MAX_RESTARTS:-0}" \
    "$tools/train.py" "$1" --launcher pytorch "${@:3}"
