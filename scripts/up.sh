#!/usr/bin/env bash
# make up   run everything through Compose, in the background; where something does not run, say what, and why
#
# SERVICES="server client" runs these alone, and what they need. The renderer is optional: without it Grafana makes no
# pictures, and everything else works. Written for bash 3.2 too, which macOS has.
set -euo pipefail
cd "$(dirname "$0")/.."
COMPOSE=${COMPOSE:-docker compose}
SERVICES=${SERVICES:-$($COMPOSE config --services)}

up() { $COMPOSE up --detach --wait "$@"; }

# Prometheus prints its usage below the line that matters.
last_words() {
  docker logs --tail 200 "$1" 2>&1 | awk '/^Error/ { error = $0 } NF { last = $0 } END { print error ? error : last }'
}

# Print a line for each container of SERVICE... that was started and does not do its work.
unwell() {
  local id name status health code restarts state words
  for id in $($COMPOSE ps --all --quiet "$@" 2>/dev/null); do
    read -r name status health code restarts < <(docker inspect --format \
      '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{with .State.Health}}{{.Status}}{{else}}none{{end}} {{.State.ExitCode}} {{.RestartCount}}' "$id")
    case "$status,$health,$code,$restarts" in
      running,healthy,* | running,starting,*,0 | exited,*,0,* | created,*) continue ;;
      running,unhealthy,*,0) state="is not healthy" ;;
      exited,*) state="ended with status $code" ;;
      *) state="keeps restarting" ;;
    esac
    words=$(last_words "$id")
    printf '  %s %s: %s\n' "$name" "$state" "${words:-it says nothing}"
  done
}

$COMPOSE build # all of it: the slow client's image is the client's
! up $SERVICES || exit 0

# it may have been the renderer alone, which could not be had or does not run
others=$(printf '%s\n' $SERVICES | grep -vx renderer || true)
if [ -n "$(unwell renderer)" ] || [ -z "$($COMPOSE ps --all --quiet renderer 2>/dev/null)" ]; then
  if [ "$(printf '%s\n' $SERVICES)" != "$others" ] && [ -n "$others" ] && up $others; then
    echo "make up: the renderer does not run, so Grafana makes no pictures; everything else runs" >&2
    unwell renderer >&2
    exit 0
  fi
fi

reasons=$(unwell $SERVICES)
if [ -n "$reasons" ]; then
  printf 'make up: not everything runs\n%s\n' "$reasons" >&2
  echo "  $COMPOSE logs SERVICE tells more; make down stops everything" >&2
else
  echo "make up: not everything runs, for the reason that Compose gives above" >&2
fi
exit 1
