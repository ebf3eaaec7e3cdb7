#!/usr/bin/env bash
# Evaluate on several GPUs, or on several CPU processes where there is no GPU:
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT as in dist_train.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: [NNODES=1 NODE_RANK=0 PORT=29500 MASTER_ADDR=127.0.0.1]" \
        "$0 CONFIG CHECKPOINT GPUS [options]" >&2
    exit 2
fi
case $3 in
auto | cpu | gpu | [1-9] | [1-9][0-9] | [1-9][0-9][0-9]) ;;
*)
    echo "error: GPUS is '$3': must be the number of processes, >= 1" >&2
    exit 2
    ;;
esac
tools=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python}" "$tools/dist_run.py" \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$3" \
    "$tools/test.py" "$1" "$2" --launcher pytorch "${@:4}"
