#!/usr/bin/env bash
# Run stages on all nodes of a SLURM allocation: sbatch --nodes=2 --gpus-per-node=4 tools/slurm.sh [TARGETS and options of tools.parallel]
# One Ray cluster per allocation, which ends with it. docs/how-to/run-on-slurm.md
#SBATCH --job-name=stages
#SBATCH --ntasks-per-node=1
#SBATCH --output=.logs/slurm-%j.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$PWD}"
export PATH="$PWD/.venv/bin:$PATH"

HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
PORT=$((20000 + SLURM_JOB_ID % 20000)) # two allocations may share a node
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")
export HEAD PORT RAY_AUTH_TOKEN RAY_AUTH_MODE=token

# The first node starts the cluster, the others join it; when the command on the first one is done, srun ends the rest.
srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --wait=5 bash -c '
    there() { (exec 3<> "/dev/tcp/$HEAD/$PORT") 2> /dev/null; }
    start() { exec ray start "$@" --num-cpus="$SLURM_CPUS_ON_NODE" --disable-usage-stats --block > /dev/null; }
    if [ "$SLURM_PROCID" != 0 ]; then
        until there; do sleep 1; done
        start --address="$HEAD:$PORT"
    fi
    start --head --port="$PORT" --include-dashboard=false &
    trap "kill $!; wait" EXIT
    until there; do sleep 1; done
    python -m tools.parallel --address "$HEAD:$PORT" "$@"
' bash "$@"
