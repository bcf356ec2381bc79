"""Uploads pairs in the way of one client, driven by paramiko. A failed request ends the program.

    paramiko_ways.py WAY PORT ACCOUNT KEY SESSIONS STEM...

WAY is one of WAYS. Each STEM is a path: STEM.csv and STEM.manifest are uploaded to the folder where
sessions start. SESSIONS is `each`, new sessions for every pair, or `one`, the same sessions for all
pairs, which stay open until every pair has left the folder.
"""

import concurrent.futures
import contextlib
import os
import sys
import time

import paramiko

# Far from every timeout of a slow link and of a loaded machine.
TIMEOUT = 100
SOME_TIME = (1600000000, 1600000000)


def name(file):
    return os.path.basename(file)


def in_parallel(function, *arguments):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(function, *arguments))


def transfer(sftp, file, remote):
    """Writes a file as most clients do: pipelined, and without a request after the close."""
    with open(file, "rb") as source, sftp.open(remote, "wb") as target:
        target.set_pipelined(True)
        target.write(source.read())


def paramiko_put(sessions, data, manifest):
    """put stats the file after its close; then a listing."""
    [sftp] = sessions
    for file in (data, manifest):
        sftp.put(file, name(file))
    sftp.listdir(".")


def paramiko_times(sessions, data, manifest):
    """As above, then times and permissions: two round trips after the manifest's close."""
    [sftp] = sessions
    for file in (data, manifest):
        sftp.put(file, name(file))
    for file in (data, manifest):
        sftp.utime(name(file), SOME_TIME)
        sftp.chmod(name(file), 0o640)
    sftp.listdir(".")


def winscp(sessions, data, manifest):
    """A temporary name, the rename, time and permissions, stat; a listing at the end."""
    [sftp] = sessions
    for file in (data, manifest):
        part = name(file) + ".filepart"
        transfer(sftp, file, part)
        sftp.rename(part, name(file))
        sftp.utime(name(file), SOME_TIME)
        sftp.chmod(name(file), 0o640)
        sftp.stat(name(file))
    sftp.listdir_attr(".")


def filezilla(sessions, data, manifest):
    """Both transfers in parallel, each on a connection of its own; the third one lists."""
    browsing, *transfers = sessions

    def upload(sftp, file):
        transfer(sftp, file, name(file))
        sftp.utime(name(file), SOME_TIME)

    in_parallel(upload, transfers, (data, manifest))
    browsing.listdir_attr(".")


def manifest_first(sessions, data, manifest):
    """The manifest is closed before the data file is opened."""
    first, second = sessions
    second.put(manifest, name(manifest))
    first.put(data, name(data))


def manifest_during_data(sessions, data, manifest):
    """The manifest is closed while the data file is half written."""
    first, second = sessions
    with open(data, "rb") as source:
        content = source.read()
    half = len(content) // 2
    with first.open(name(data), "wb") as target:
        target.write(content[:half])
        target.flush()
        second.put(manifest, name(manifest))
        target.write(content[half:])
    assert first.stat(name(data)).st_size == len(content)


# The way, and how many connections it has.
WAYS = {
    "paramiko": (paramiko_put, 1),
    "paramiko-times": (paramiko_times, 1),
    "winscp": (winscp, 1),
    "filezilla": (filezilla, 3),
    "manifest-first": (manifest_first, 2),
    "manifest-during-data": (manifest_during_data, 2),
}


def connect(port, account, key):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(
        "127.0.0.1", port, account, key_filename=key, allow_agent=False, look_for_keys=False,
        timeout=TIMEOUT, banner_timeout=TIMEOUT, auth_timeout=TIMEOUT,
    )
    return client


def wait_until_gone(sftp, names):
    deadline = time.monotonic() + TIMEOUT
    while left := names.intersection(sftp.listdir(".")):
        assert time.monotonic() < deadline, f"still there: {sorted(left)}"
        time.sleep(0.05)


def main():
    way, port, account, key, mode, *stems = sys.argv[1:]
    upload, connections = WAYS[way]
    pairs = [(f"{stem}.csv", f"{stem}.manifest") for stem in stems]
    for group in [pairs] if mode == "one" else [[pair] for pair in pairs]:
        with contextlib.ExitStack() as stack:
            clients = in_parallel(lambda _: connect(int(port), account, key), range(connections))
            for client in clients:
                stack.callback(client.close)
            sessions = in_parallel(lambda client: client.open_sftp(), clients)
            for data, manifest in group:
                upload(sessions, data, manifest)
            if mode == "one":
                wait_until_gone(sessions[0], {name(file) for pair in pairs for file in pair})


main()
