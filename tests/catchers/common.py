"""Shared by both catchers: they end on SIGTERM, and when their parent dies."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent():
    """SIGTERM ends this process, and so does the death of its parent."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def announce(port):
    """Prints the port for the parent."""
    print(port, flush=True)


def write_whole(path, content):
    """Writes a file that appears only when it is complete."""
    with open(path + ".part", "wb") as file:
        file.write(content)
    os.rename(path + ".part", path)


def log(text):
    """Prints a line for people who watch."""
    print(text, file=sys.stderr, flush=True)
