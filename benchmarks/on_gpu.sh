#!/usr/bin/env bash
# Holds the warp on this machine's GPU to the reference, then measures it beside its peers: most telling first, in one
# call of at most 8 minutes. A second call goes on with what the JSON does not have yet. See --help.
#
#   benchmarks/on_gpu.sh [--out FOLDER] [--photos FOLDER] [--wheels FOLDER] [--budget SECONDS] [--only PART] [--tune]
#   benchmarks/on_gpu.sh --dry --out FOLDER    the same way without a GPU, in Triton's interpreter: no figures
#
# Needs torch, triton and numpy, and nothing from a network. PYTHON names the interpreter, python3 by default.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
ln -s "$root" "$packages/onewarp"  # the repository's root is the package: no installation is needed
export PYTHONPATH="$packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1
"${PYTHON:-python3}" -m onewarp.benchmarks.on_gpu "$@"
