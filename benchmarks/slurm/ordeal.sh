#!/usr/bin/env bash
# A sweep on two of the nodes of nodes.sh, and what befalls it. Run from the root of the repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
cp "$here/heart.yaml" "$here/slow_metric.py" "$folder"
cd "$folder"
python -m sweep.run heart.yaml --local --results undisturbed > undisturbed.log 2>&1 &
python -m sweep.slurm heart.yaml --nodes 2 --cpus-per-node 1 --time 60 \
    --setup 'export SECONDS_A_CASE=0.2'
job=$(sbatch --parsable heart.sbatch)

epochs() { cat results/heart/trials/*/history.jsonl 2>/dev/null | wc -l; }
say() { echo "-- $(date +%T) $* ($(epochs) epochs)"; }
state() { squeue -h -j "$job" -o %T; }
more_than() { [ "$(epochs)" -gt "$1" ]; }
in_state() { [ "$(state)" = "$1" ]; }
in_run() { grep -q "run $1," "results/heart.$job.log" 2>/dev/null; }
tested() { find results/heart/trials -name test.json 2>/dev/null | grep -q .; }

# Wait until the command succeeds. On a fast machine the sweep may end before all has befallen it.
await() {
    until "$@"; do
        [ -n "$(state)" ] || { say "the job ended too early: raise epochs in heart.yaml"; exit 1; }
        sleep 1
    done
}
further() { await more_than $(($(epochs) + $1)); }
limit() { scontrol update "jobid=$job" "timelimit=$1"; }  # minutes
preempt() {
    say "an urgent job takes two nodes"
    sbatch --partition=urgent --nodes=2 --exclusive --time=1 --output=/dev/null --wrap 'sleep 10'
    await in_state PENDING
    say "the job is pending"
    await in_state RUNNING
    say "it runs again on $(squeue -h -j "$job" -o %N)"
}
minutes() { squeue -h -j "$job" -o %M | awk -F: '{ print (NF > 2 ? 60 * $1 + $2 : $1) }'; }

for run in 1 2; do
    await in_run $run
    limit 60
    further 3
    say "run $run is near its time limit"
    limit $(($(minutes) + 4))
done
await in_run 3
limit 60
say "requeued twice by its time limit"
further 1
say "node2 is drained"
scontrol update nodename=node2 state=drain reason=maintenance
further 3
preempt
further 3
slurmd=$(pgrep -f "slurmd -D -N node3$")
say "all of the job on node3 is killed"
nsenter -t "$slurmd" -p -m pkill -9 -f 'slurmstepd|ray' || true
further 3
say "the sweep goes on"
scontrol update nodename=node2 state=resume
say "the job is cancelled"
scancel "$job"
while [ -n "$(state)" ]; do sleep 1; done
cancelled=$job
say "it has ended, and is submitted again"
job=$(sbatch --parsable heart.sbatch)
await tested
say "finalists are evaluated on the test split"
preempt
while [ -n "$(state)" ]; do sleep 1; done
say "the job has ended"
wait
cat "results/heart.$cancelled.log" "results/heart.$job.log"
python "$here/compare.py" results/heart undisturbed/heart
