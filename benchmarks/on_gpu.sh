#!/usr/bin/env bash
# Checks the warp on this machine's GPU against the reference, then measures it beside its peers.
#
#   benchmarks/on_gpu.sh [--out FOLDER] [--tune]    figures as JSON and a table, by default in benchmarks/results
#   benchmarks/on_gpu.sh --dry --out FOLDER         the same way without a GPU, in Triton's interpreter: no figures
#
# Needs torch, triton and numpy, and nothing from a network. Peers are measured where they can be imported; PYTHON
# names the interpreter, python3 by default.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
ln -s "$root" "$packages/onewarp"  # the repository's root is the package: no installation is needed
export PYTHONPATH="$packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1
for argument in "$@"; do
    if [ "$argument" = --dry ]; then export TRITON_INTERPRET=1; fi
done
"${PYTHON:-python3}" -m onewarp.benchmarks.gpu "$@"
