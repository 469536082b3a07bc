#!/usr/bin/env bash
# A Slurm of three nodes on one machine. Each node has a network, a host name, mounts and processes
# of its own, so that Ray takes them for three machines. Needs root, and
#   apt-get install slurmctld slurmd slurm-client munge iproute2
#
# usage: nodes.sh up | down
set -euo pipefail
root=/tmp/slurm-nodes

configure() {
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q "$root" /etc/slurm/slurm.conf; then
        echo "/etc/slurm/slurm.conf is that of another cluster" >&2
        exit 1
    fi
    mkdir -p "$root/state" "$root/log" /run/munge
    chown munge /run/munge
    printf '127.0.0.1 localhost\n10.77.0.1 %s\n' "$(hostname)" > "$root/hosts"
    printf '10.77.0.1%d node%d\n' 1 1 2 2 3 3 >> "$root/hosts"
    printf 'CgroupPlugin=cgroup/v1\n' > /etc/slurm/cgroup.conf
    cat > /etc/slurm/slurm.conf <<CONF
ClusterName=lab
SlurmctldHost=$(hostname)(10.77.0.1)
SlurmUser=root
AuthInfo=cred_expire=10
StateSaveLocation=$root/state
SlurmctldPidFile=$root/slurmctld.run.pid
SlurmdPidFile=/run/slurmd.%n.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=10
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=node[1-3] NodeAddr=10.77.0.1[1-3] CPUs=2 RealMemory=4000
PartitionName=main Nodes=node[1-3] Default=YES PriorityTier=1 GraceTime=15
PartitionName=urgent Nodes=node[1-3] PriorityTier=10
CONF
}

node() {
    ip netns add "node$1"
    ip link add "sweep$1" type veth peer name eth0 netns "node$1"
    ip link set "sweep$1" master sweepbr up
    ip -n "node$1" addr add "10.77.0.1$1/24" dev eth0
    ip -n "node$1" link set eth0 up
    ip -n "node$1" link set lo up
    nsenter --net="/run/netns/node$1" \
        unshare --mount --uts --ipc --pid --fork --mount-proc --kill-child bash -c "
            hostname node$1
            mount --bind $root/hosts /etc/hosts
            mount -t tmpfs tmpfs /dev/shm
            mount -t tmpfs tmpfs /var/spool && mkdir /var/spool/slurmd
            slurmd -D -N node$1 & wait" > "$root/log/node$1.out" 2>&1 &
    echo $! > "$root/node$1.pid"
}

up() {
    configure
    [ -S /run/munge/munge.socket.2 ] || runuser -u munge -- munged
    ip link add sweepbr type bridge
    ip addr add 10.77.0.1/24 dev sweepbr
    ip link set sweepbr up
    unshare --mount bash -c "mount --bind $root/hosts /etc/hosts; exec slurmctld -D -c" \
        > "$root/log/slurmctld.out" 2>&1 &
    echo $! > "$root/slurmctld.pid"
    for number in 1 2 3; do node $number; done
}

down() {
    for name in node1 node2 node3 slurmctld; do
        kill -9 "$(cat "$root/$name.pid")" || true
    done
    kill "$(cat /run/munge/munged.pid)" || true
    for number in 1 2 3; do ip netns del node$number || true; done
    ip link del sweepbr || true
    rm /etc/slurm/slurm.conf /etc/slurm/cgroup.conf
}

"$@"
