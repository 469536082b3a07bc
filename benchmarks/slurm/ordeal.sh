#!/usr/bin/env bash
# A sweep on two of the nodes of nodes.sh, and what befalls it. Run from the root of the repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
cp "$here/heart.yaml" "$folder"
cd "$folder"
python -m sweep.run heart.yaml --local --results undisturbed > undisturbed.log 2>&1 &
python -m sweep.slurm heart.yaml --nodes 2 --cpus-per-node 1 --time 5 --sbatch=--signal=B:USR1@60
job=$(sbatch --parsable heart.sbatch)

epochs() { cat results/heart/trials/*/history.jsonl 2>/dev/null | wc -l; }
say() { echo "-- $(date +%T) $* ($(epochs) epochs)"; }
state() { squeue -h -j "$job" -o %T; }
further() { local now; now=$(epochs); until [ "$(epochs)" -gt $((now + $1)) ]; do sleep 1; done; }

until grep -q "run 3," "results/heart.$job.log" 2>/dev/null; do sleep 1; done
say "requeued twice by its time limit"
further 1
say "node2 is drained"
scontrol update nodename=node2 state=drain reason=maintenance
further 3
say "an urgent job takes node1 and node3"
sbatch --partition=urgent --nodelist=node1,node3 --nodes=2 --exclusive --time=1 --output=/dev/null \
    --wrap 'sleep 10'
until [ "$(state)" = PENDING ]; do sleep 1; done
say "the job is pending"
until [ "$(state)" = RUNNING ]; do sleep 1; done
say "it runs again on $(squeue -h -j "$job" -o %N)"
further 3
slurmd=$(pgrep -f "slurmd -D -N node3$")
say "all of the job on node3 is killed"
nsenter -t "$slurmd" -p -m pkill -9 -f 'slurmstepd|ray' || true
further 3
say "the sweep goes on"
scontrol update nodename=node2 state=resume
while [ -n "$(state)" ]; do sleep 1; done
say "the job has ended"
wait
cat "results/heart.$job.log"
python "$here/compare.py" results/heart undisturbed/heart
