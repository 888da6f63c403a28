#!/usr/bin/env bash
# make up, make obs   run services through Compose, in the background; where one does not run, say which, and why
#
# SERVICES="server client": these and what they need; by default all. The renderer is optional: without it Grafana makes
# no pictures, and everything else works. Written for bash 3.2 too, which macOS has.
set -euo pipefail
cd "$(dirname "$0")/.."
COMPOSE=${COMPOSE:-docker compose}
SERVICES=$(echo ${SERVICES:-$($COMPOSE config --services)})

up() { $COMPOSE up --detach --wait "$@"; }

# The last line, or the error: Prometheus prints its usage below that.
last_words() { awk '/^Error/ { error = $0 } NF { last = $0 } END { print error ? error : last ? last : "it says nothing" }'; }

# Print a line for each container of SERVICE... that was started and does not do its work.
unwell() {
  local id name status health code restarts
  for id in $($COMPOSE ps --all --quiet "$@" 2>/dev/null); do
    read -r name status health code restarts < <(docker inspect --format \
      '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{with .State.Health}}{{.Status}}{{else}}none{{end}} {{.State.ExitCode}} {{.RestartCount}}' "$id")
    case "$status,$health,$code,$restarts" in
      running,healthy,* | running,starting,*,0 | exited,*,0,* | created,*) ;;
      running,unhealthy,*)
        printf '  %s is not healthy: ' "$name"
        docker inspect --format '{{range .State.Health.Log}}{{println .Output}}{{end}}' "$id" | last_words ;;
      *)
        [ "$status" = exited ] && printf '  %s ended with status %s: ' "$name" "$code" || printf '  %s keeps restarting: ' "$name"
        # of more than one run: Prometheus' usage has 199 lines, and the engine may have them before the error above them
        docker logs --tail 1000 "$id" 2>&1 | last_words ;;
    esac
  done
}

case " $SERVICES " in
  *" server "* | *client*)
    # unless PULL_POLICY says that they are in a registry; both, since the slow client's image is the client's
    ! $COMPOSE config | grep 'pull_policy: never' >/dev/null || $COMPOSE build ;;
esac
! up $SERVICES || exit 0

# it may have been the renderer alone, which could not be had or does not run
others=$(printf '%s\n' $SERVICES | grep -vx renderer | xargs) || true
if [ -n "$(unwell renderer)" ] || [ -z "$($COMPOSE ps --all --quiet renderer 2>/dev/null)" ]; then
  if [ "$others" != "$SERVICES" ] && [ -n "$others" ] && up $others; then
    echo "the renderer does not run, so Grafana makes no pictures; everything else runs" >&2
    unwell renderer >&2
    exit 0
  fi
fi

reasons=$(unwell $SERVICES)
if [ -n "$reasons" ]; then
  printf 'not everything runs:\n%s\n' "$reasons" >&2
  echo "  $COMPOSE logs SERVICE tells more; make down stops everything" >&2
else
  echo "not everything runs, for the reason that Compose gives above" >&2
fi
exit 1
