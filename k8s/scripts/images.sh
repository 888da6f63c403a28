#!/usr/bin/env bash
# make images REGISTRY=… TAG=…   build both images for amd64 and arm64, push them, and say what k8s/ has to name
#
# METADATA=folder keeps what Buildx tells of each, its digest among it, in a JSON file there.
# PLATFORMS=linux/amd64 builds for one alone. Needs Docker with Buildx, and a login at the registry.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ -n "${REGISTRY:-}" ] && [ -n "${TAG:-}" ] || end_with "say where to and as what: make images REGISTRY=ghcr.io/you TAG=1.0.0"
need docker
docker buildx version >/dev/null 2>&1 || end_with "Docker has no Buildx, which builds for several platforms"

cd "$REPOSITORY"
for service in server client; do
  image=$REGISTRY/backpressure-$service:$TAG
  step "build and push $image"
  docker buildx build --platform "${PLATFORMS:-linux/amd64,linux/arm64}" --push \
    --sbom=true --provenance=mode=max ${METADATA:+--metadata-file "$METADATA/$service.json"} \
    --build-arg "SERVICE=$service" --build-arg "VERSION=$TAG" \
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    ${PYTHON_IMAGE:+--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"} \
    --file services/Dockerfile --tag "$image" .
done

cat <<END
Put this in k8s/kustomization.yaml, in place of what is there under images:
  - { name: backpressure-server, newName: $REGISTRY/backpressure-server, newTag: "$TAG" }
  - { name: backpressure-client, newName: $REGISTRY/backpressure-client, newTag: "$TAG" }
or say it in one line: cd k8s && kustomize edit set image backpressure-server=$REGISTRY/backpressure-server:$TAG backpressure-client=$REGISTRY/backpressure-client:$TAG
END
