#!/usr/bin/env bash
# Checks the warp on this machine's GPU against the reference, then measures it beside its peers; then, how much of a
# training step of ResNet-50 is waiting for the loader (waiting.json).
#
#   benchmarks/on_gpu.sh [--out FOLDER] [--photos FOLDER] [--tune]    JSON and a table, by default in benchmarks/results
#   benchmarks/on_gpu.sh --dry --out FOLDER    the same way without a GPU, in Triton's interpreter: no figures
#
# Needs torch, triton and numpy, and nothing from a network; the training step also what onewarp needs, and timm. Peers
# are measured where they can be imported; PYTHON names the interpreter, python3 by default.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
ln -s "$root" "$packages/onewarp"  # the repository's root is the package: no installation is needed
export PYTHONPATH="$packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1
python=${PYTHON:-python3} out=$root/benchmarks/results file=waiting.json dry=() previous=
for argument in "$@"; do
    if [ "$argument" = --dry ]; then
        export TRITON_INTERPRET=1
        file=waiting-dry.json dry=(--dry)
    fi
    if [ "$previous" = --out ]; then out=$argument; fi
    previous=$argument
done
"$python" -m onewarp.benchmarks.gpu "$@"
if missing=$("$python" -c "import onewarp.benchmarks.waiting, timm" 2>&1); then
    "$python" -m onewarp.benchmarks.waiting "${dry[@]}" --out "$out/$file"
else
    echo "waiting in a training step is not measured: ${missing##*$'\n'}"
fi
