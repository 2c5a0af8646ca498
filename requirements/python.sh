#!/bin/sh
# Prints the path of a Python 3.11 interpreter, or fails with the remedy.
for candidate in ${PYTHON:-} python3.11 python3 python; do
    path=$(command -v "$candidate" 2>/dev/null) || continue
    if "$path" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        echo "$path"
        exit 0
    fi
done
echo "error: Secondsight needs Python 3.11, and none was found on PATH." >&2
echo "       Install it, or name it: make install PYTHON=/path/to/python3.11" >&2
exit 1
