#!/usr/bin/env bash
# make kind-down   remove the cluster that make kind-up made, with all that is in it
set -euo pipefail
. "$(dirname "$0")/common.sh"
need kind
kind delete cluster --name "${KIND_CLUSTER:-backpressure}"
