# shellcheck shell=bash
# usage: hang.sh GROUP DEVICE PID: lets nothing of the process through to the disk MAJOR:MINOR until stdin ends.
set -eu
limit() {
    for file in read write; do echo "$device $1" >"$group/blkio.throttle.${file}_bps_device"; done
}

device=$2
top=/sys/fs/cgroup/blkio
group=$top/$1
mkdir "$group"
# A byte a second: the first answer comes after minutes.
limit 1
echo "$3" >"$group/cgroup.procs"
echo hangs
read -r _ || true
limit 0
for _ in {1..100}; do
    # A process that ended may still be listed.
    while read -r pid; do echo "$pid" >$top/cgroup.procs || true; done <"$group/cgroup.procs"
    if rmdir "$group"; then break; fi
    sleep 0.1
done 2>/dev/null
