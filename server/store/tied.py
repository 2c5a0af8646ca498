"""Run a program that ends with its parent: `python tied.py PARENT_PID PROGRAM ARGUMENT...`.

The kernel's parent-death signal must be asked for by the child itself. Doing that between fork and exec would run
Python in a fork of a process with gRPC's and torch's threads; this process of its own, which becomes the program, is
safe. The signal comes when the *thread* that started this process ends.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Ask for the signal, then become the program."""
    parent, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it ended before the signal was asked for
        sys.exit(1)
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    main()
