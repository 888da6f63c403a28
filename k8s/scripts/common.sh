# Sourced by the scripts beside it: what they say, and how they end.
NAMESPACE=backpressure
KUBECTL=${KUBECTL:-kubectl}
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

step() { printf '== %s\n' "$*"; }

# The reason in one line; 2 as for a setting that cannot be used.
end_with() {
  echo "$(basename "$0" .sh): $*" >&2
  exit 2
}

need() {
  for program in "$@"; do
    command -v "$program" >/dev/null || end_with "needs $program, which is not on the PATH"
  done
}
