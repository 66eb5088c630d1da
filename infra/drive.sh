#!/bin/sh
# automl, with the cluster at RAY_ADDRESS: a search joins it as a node that trains nothing, and leaves it
# when its container ends.
set -eu
if [ "${1:-}" = search ]; then
    ray start --address="$RAY_ADDRESS" --num-cpus=0 --num-gpus=0 --disable-usage-stats >&2
fi
exec automl "$@"
