#!/usr/bin/env bash
# make images REGISTRY=… TAG=…   build all images for amd64 and arm64, push them, and say what k8s/ has to name
#
# METADATA=folder keeps what Buildx tells of each, its digest among it, in a JSON file there.
# PLATFORMS=linux/amd64 builds for one alone. BUILDER=name takes a builder of yours; without it, where the engine's own
# cannot build for several platforms, one of the driver docker-container is made, once, and kept.
# Needs Docker with Buildx, and a login at the registry.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ -n "${REGISTRY:-}" ] && [ -n "${TAG:-}" ] || end_with "say where to and as what: make images REGISTRY=ghcr.io/you TAG=1.0.0"
need docker
docker buildx version >/dev/null 2>&1 || end_with "Docker has no Buildx, which builds for several platforms"
PLATFORMS=${PLATFORMS:-linux/amd64,linux/arm64}

of_builder() { sed -n "s/^$1: *//p" <<<"$builder" | head -1; }

look_at() { # [NAME]
  builder=$(docker buildx inspect --bootstrap "$@" 2>&1) ||
    end_with "the builder ${1:-that Buildx uses} does not run: $(tail -1 <<<"$builder")"
}

look_at ${BUILDER:+"$BUILDER"}
if [ -z "${BUILDER:-}" ] && [ "$(of_builder Driver)" = docker ]; then
  # it builds for its own platform alone, and attests nothing, unless its images are containerd's
  BUILDER=backpressure
  docker buildx inspect "$BUILDER" >/dev/null 2>&1 || {
    step "make the builder $BUILDER (docker buildx rm $BUILDER removes it)"
    docker buildx create --name "$BUILDER" --driver docker-container >/dev/null
  }
  look_at "$BUILDER"
fi
BUILDER=${BUILDER:-$(of_builder Name)}
can=$(of_builder Platforms)
for platform in ${PLATFORMS//,/ }; do
  [[ ",${can//[ *]/}," == *",$platform,"* ]] ||
    end_with "the builder $BUILDER cannot build for $platform, only for $can; emulate it (docker run --privileged --rm tonistiigi/binfmt --install ${platform#*/}), or leave it out by PLATFORMS"
done

metadata=${METADATA:-$(mktemp -d)}
[ -n "${METADATA:-}" ] || trap 'rm -rf "$metadata"' EXIT
cd "$REPOSITORY"
lines=
for service in server client market; do
  image=$REGISTRY/backpressure-$service:$TAG
  step "build and push $image with the builder $BUILDER"
  docker buildx build --builder "$BUILDER" --platform "$PLATFORMS" --push \
    --sbom=true --provenance=mode=max --metadata-file "$metadata/$service.json" \
    --build-arg "SERVICE=$service" --build-arg "VERSION=$TAG" \
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    ${PYTHON_IMAGE:+--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"} \
    --file services/Dockerfile --tag "$image" .
  digest=$(grep -o '"containerimage.digest": *"[^"]*"' "$metadata/$service.json" | cut -d'"' -f4)
  lines+="  - { name: backpressure-$service, newName: $REGISTRY/backpressure-$service, digest: \"$digest\" } # $TAG"$'\n'
done

cat <<END
Put this in k8s/images/kustomization.yaml, in place of what is there under images; it names just what was pushed now:
${lines}or, what the tag is at the time: cd k8s/images && kustomize edit set image backpressure-server=$REGISTRY/backpressure-server:$TAG backpressure-client=$REGISTRY/backpressure-client:$TAG backpressure-market=$REGISTRY/backpressure-market:$TAG
END
