"""What both catchers share: they end when they are told to, and when their parent dies."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent():
    """SIGTERM ends this process; so does the death of whoever started it."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def announce(port):
    """Tells the parent which port it is."""
    print(port, flush=True)


def write_whole(path, content):
    """Writes a file that appears at once, whole."""
    with open(path + ".part", "wb") as file:
        file.write(content)
    os.rename(path + ".part", path)


def log(text):
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)
