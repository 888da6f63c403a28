#!/usr/bin/env bash
# make kind-up   a cluster of one node in Docker, with the images built here, and everything running in it
set -euo pipefail
. "$(dirname "$0")/common.sh"
need docker kind "$KUBECTL"
docker info >/dev/null 2>&1 || end_with "Docker is installed, but its engine does not answer; is it started?"

CLUSTER=${KIND_CLUSTER:-backpressure}
cd "$REPOSITORY"

if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
  step "the kind cluster $CLUSTER is there"
else
  step "make the kind cluster $CLUSTER"
  kind create cluster --name "$CLUSTER" --wait 180s
fi
for service in server client; do
  step "build backpressure-$service and load it into the node"
  docker build --quiet --build-arg "SERVICE=$service" ${PYTHON_IMAGE:+--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"} \
    --file services/Dockerfile --tag "backpressure-$service:kind" .
  kind load docker-image "backpressure-$service:kind" --name "$CLUSTER"
done

kube() { "$KUBECTL" --context "kind-$CLUSTER" --namespace "$NAMESPACE" "$@"; }
step "apply k8s/overlays/kind"
kube apply -k k8s/overlays/kind
# the images have the same tag each time: pods that run already would keep the old ones
kube rollout restart deployment/server deployment/client deployment/slow-client >/dev/null
step "wait until all are ready"
for workload in deployment/server deployment/client deployment/slow-client statefulset/prometheus deployment/grafana; do
  kube rollout status "$workload" --timeout=300s
done
kube rollout status deployment/renderer --timeout=300s || step "the renderer does not run, so Grafana makes no pictures"

cat <<END
Everything runs. To look at it:
  kubectl --context kind-$CLUSTER -n $NAMESPACE port-forward service/grafana 3000      then http://localhost:3000
  kubectl --context kind-$CLUSTER -n $NAMESPACE port-forward service/prometheus 9090   then make verify
make kind-down removes the cluster.
END
