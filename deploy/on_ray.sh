#!/bin/bash
# on_ray ADDRESS ARGUMENTS...: joins the Ray cluster whose head is at ADDRESS, and runs `nclscreen ARGUMENTS...` there.
#
# A program reaches a Ray cluster by a node of it on the same machine. So this makes the container a node that offers
# nothing, where no shard and no replica is placed, with the program beside it. When one of the two ends, so does the other:
# a program whose node died with the head waits for minutes once a new head answers at the old address. Whoever restarts
# the container has it wait for the next head. Nothing is lost by that: what is under way is leased in SQL.
set -u
head=$1
shift
# how long the program may take to give back what is under way when its node is gone
readonly GRACE_S=20

folder=${RAY_TMPDIR:-/tmp}/ray
rm -rf "$folder" # what a node before this one left there, where the folder outlives it
until ray health-check --address "$head" 2>/dev/null; do
    echo "waiting for Ray's head at $head" >&2
    sleep 2
done
ray start --address="$head" --num-cpus=0 --num-gpus=0 --object-store-memory=268435456 --disable-usage-stats --block &
node=$!
until [ -S "$folder"/session_latest/sockets/raylet ]; do
    kill -0 "$node" 2>/dev/null || exit 1
    sleep 1
done
nclscreen "$@" &
program=$!
trap 'kill -TERM "$program"' TERM INT

# a signal ends a wait, too
while kill -0 "$node" 2>/dev/null && kill -0 "$program" 2>/dev/null; do
    wait -n "$node" "$program"
done
if kill -0 "$program" 2>/dev/null; then
    echo "the node of Ray is gone, and the program with it" >&2
    kill -TERM "$program"
    (sleep "$GRACE_S" && kill -KILL "$program") 2>/dev/null &
    wait "$program"
    exit 1
fi
wait "$program"
status=$?
kill -TERM "$node" 2>/dev/null
wait "$node"
exit "$status"
