#!/usr/bin/env bash
# Run stages on all nodes of a SLURM allocation: sbatch --nodes=2 --gpus-per-node=4 tools/slurm.sh [TARGETS and options of tools.parallel]
# One Ray cluster per allocation, which ends with it. docs/how-to/run-on-slurm.md
#SBATCH --job-name=stages
#SBATCH --ntasks-per-node=1
#SBATCH --output=.logs/slurm-%j.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$PWD}"
export PATH="$PWD/.venv/bin:$PATH"

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head:$((20000 + SLURM_JOB_ID % 20000))" # two allocations may share a node
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token

# Each node starts its part of the cluster; the first one then runs the command, and all stop when it is done.
srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_NNODES" --num-cpus="$SLURM_CPUS_ON_NODE" --disable-usage-stats -- \
    python -m tools.parallel --address "$address" "$@"
