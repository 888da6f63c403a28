#!/usr/bin/env bash
# make k8s-smoke   try everything on a real cluster: apply, verify, scale, restart the server, verify again, delete
#
# It takes the cluster of kubectl's current context, and about eight minutes. Where the namespace is there already it
# stops: it would delete it in the end.
#   K8S=k8s/overlays/kind   what to apply; by default k8s
#   SKIP="grafana renderer" workloads that this cluster cannot run
set -euo pipefail
. "$(dirname "$0")/common.sh"
need "$KUBECTL" curl
cd "$REPOSITORY"
K8S=${K8S:-k8s} SKIP=${SKIP:-}

kube() { "$KUBECTL" --namespace "$NAMESPACE" "$@"; }
"$KUBECTL" get --raw /readyz >/dev/null 2>&1 ||
  end_with "needs a Kubernetes cluster, and none answers at kubectl's current context ($("$KUBECTL" config current-context 2>/dev/null || echo none)); make kind-up makes one"
! "$KUBECTL" get namespace "$NAMESPACE" >/dev/null 2>&1 ||
  end_with "the namespace $NAMESPACE is there already, and this would delete it; kubectl delete namespace $NAMESPACE, if you do not need it"

work=$(mktemp -d)
forward=
clean_up() {
  status=$?
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    step "failed; this is how it stands"
    kube get pods,hpa,pvc -o wide || true
    kube get events --sort-by=.lastTimestamp | tail -30 || true
    for name in server client slow-client; do kube logs "deployment/$name" --tail=15 || true; done
  fi
  [ -z "$forward" ] || kill "$forward" 2>/dev/null || true
  step "delete what was applied"
  "$KUBECTL" delete namespace "$NAMESPACE" --ignore-not-found --timeout=180s || true
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

skipped() { [[ " $SKIP " == *" $1 "* ]]; }

wait_for_all() {
  for workload in deployment/server deployment/client deployment/slow-client statefulset/prometheus deployment/renderer deployment/grafana; do
    skipped "${workload#*/}" || kube rollout status "$workload" --timeout=300s
  done
}

# A port of this machine's own choice: 9090 may be taken.
open_prometheus() {
  kube port-forward service/prometheus :9090 >"$work/forward" 2>&1 &
  forward=$!
  for _ in $(seq 60); do
    prometheus=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/http:\/\/127.0.0.1:\1/p' "$work/forward")
    [ -z "$prometheus" ] || ! curl -fsS "$prometheus/-/ready" >/dev/null 2>&1 || return 0
    sleep 1
  done
  echo "kubectl port-forward did not open: $(cat "$work/forward")" >&2
  return 1
}

# ask QUERY: the value of a query that has one
ask() {
  curl -fsS --get "$prometheus/api/v1/query" --data-urlencode "query=$1" |
    python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else 0)'
}

# wait_until SECONDS QUERY VALUE
wait_until() {
  local deadline=$((SECONDS + $1)) value
  while value=$(ask "$2"); [ "$value" != "$3" ]; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "after $1 s $2 is $value, not $3" >&2; return 1; }
    sleep 2
  done
  printf '  %s is %s\n' "$2" "$3"
}

verify() { LAB_VERIFY_PROMETHEUS_URL=$prometheus make --no-print-directory verify; }

step "apply $K8S to $("$KUBECTL" config current-context)"
"$KUBECTL" apply -k "$K8S"
for name in $SKIP; do kube scale "deployment/$name" --replicas=0; done

step "wait until all are ready"
wait_for_all
open_prometheus
step "every target is up: two servers, a client, a slow client"
wait_until 180 'sum(up{job="server"})' 2
wait_until 60 'sum(up{job="client"})' 2
wait_until 120 'count(flowcontrol_client_streams > 0)' 2
step "the verdict"
verify

step "scale the clients to 3, and count them"
kube scale deployment/client --replicas=3
kube rollout status deployment/client --timeout=180s
wait_until 120 'count(flowcontrol_client_streams{client=~"client-.*"} > 0)' 3

step "restart the server: every stream ends, and every client resumes"
kube rollout restart deployment/server
kube rollout status deployment/server --timeout=300s
# the old servers end their streams only after their drain
kube wait pod --for=delete --selector=app.kubernetes.io/name=server --field-selector=status.phase!=Running --timeout=90s >/dev/null 2>&1 || true
wait_until 180 'count(up{job="server"} == 1)' 2
wait_until 180 'sum(flowcontrol_server_streams{client=~"client-.*"})' 3
wait_until 60 'count(flowcontrol_client_streams{client=~"client-.*"} > 0)' 3
wait_until 60 'sum(stock_client_missed_updates_total)' 0
step "the verdict, again; of the fast clients: the slow one first works off what was in flight, which takes it 20 minutes"
LAB_VERIFY_SLOW=none verify

step "passed"
