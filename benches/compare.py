"""Runs sftp-import and other tools in turn, on the same data, and writes a table of the results.

    python benches/compare.py PROGRAM MAKE_DATA FOLDER [--quick] [--write FILE] [--lines FILE] [--limits FILE]

Every round runs each tool, so that a change of the machine's speed affects all tools alike. A ratio
compares two runs of the same round. The table has medians. The operating system measures times and
memory (wait4).
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import stages

PEERS = Path(__file__).with_name("peers.py")
# The names of the other tools' jobs in the table, if they differ from the name of the job.
NAMES = {
    "duckdb_profiles_conflict": "DuckDB, ON CONFLICT DO UPDATE",
    "duckdb_profiles": "DuckDB, MERGE INTO",
    "duckdb_profiles_staged": "DuckDB, staged, UPDATE and INSERT",
    "duckdb_profiles_lists": "DuckDB, staged, with lists",
    "duckdb_profiles_key": "DuckDB, staged, with lists and a key",
    "duckdb_profiles_anew": "DuckDB, the table rebuilt, with lists",
    "sqlite_profiles": "SQLite, staged, ON CONFLICT DO UPDATE",
    "sqlite_events": "SQLite",
    "clickhouse_events": "ClickHouse (chdb)",
    "polars_events": "Polars",
    "polars_events_default": "Polars, its default level",
    "duckdb_events": "DuckDB",
}
# The number of times that a round runs a tool. The default is 1. Each run of the tool is followed
# by a run of sftp-import. The fastest tool runs more often, because its ratio varies on a busy
# machine.
PAIRS = {"polars_events": 3}
# The time in seconds after which a job of another tool is not run again.
PATIENCE = 30
# The time in seconds after which a job is killed.
END_OF_PATIENCE = 100
# The memory in bytes that is allocated and freed before each run. This is more than a run uses,
# with its page cache. At most half of the free memory is used, so that no file leaves the page
# cache.
MEMORY = 5 << 30
BEGIN, END = "<!-- scripts/bench writes from here -->", "<!-- to here -->"


class Bench:
    def __init__(self, program, make_data, folder, quick):
        self.program, self.make_data, self.folder = program, make_data, folder
        self.scale = 10 if quick else 1
        self.rounds = 3
        self.runs = {}
        self.pairs = {}

    def data(self, name, kind, records, *more):
        """Returns the folder with `kind`.csv and its manifest. Makes the files if they do not exist."""
        folder = self.folder / f"{name}-{records}"
        if not (folder / f"{kind}.manifest").exists():
            command = [self.make_data, folder, kind, records, *more]
            subprocess.run(list(map(str, command)), check=True)
        return folder

    def ours(self, data, kind, home):
        """Runs `ingest` with folders below `home`, and with a new manifest name."""
        home.mkdir(exist_ok=True)
        config = home / "config.toml"
        config.write_text(
            f"[paths]\naccounts = '{home}/accounts'\nstate = '{home}/state'\n[mail]\nurl = ''\n"
            "[limits]\nmax-data-file = '6GB'\n"
        )
        (home / "state").mkdir(exist_ok=True)
        manifest = data / f"{kind}-{time.monotonic_ns()}.manifest"
        shutil.copy(data / f"{kind}.manifest", manifest)
        command = [self.program, "--config", config, "--json", "ingest", "--account"]
        try:
            run = measure([*command, "bench", "--errors", home, manifest], printed_by_us)
            return *run, bytes_below(home / "state" / "data")
        finally:
            manifest.unlink()

    def peer(self, job, csv, out):
        command = [sys.executable, PEERS, job, csv, out]
        return *measure(command, patience=END_OF_PATIENCE), bytes_below(out)

    def note(self, what, who, run):
        self.runs.setdefault((what, who), []).append(run)
        seconds, cpu, peak, written = run
        print(
            f"{what}: {who}: {shown(seconds)} s, {cpu:.2f} s CPU, {peak} MB, wrote {written >> 20} MB",
            flush=True,
        )

    def note_pair(self, what, peer, theirs, ours):
        """Records one run of another tool, and the run of sftp-import after it."""
        self.note(what, peer, theirs)
        self.note(what, "sftp-import", ours)
        self.pairs.setdefault((what, peer), []).append(theirs[0] / ours[0])

    def is_slow(self, what, peer):
        return any(run[0] > PATIENCE for run in self.runs.get((what, peer), []))

    def events(self):
        records = 10_000_000 // self.scale
        clean = self.data("clean", "events", records, 0)
        usual = self.data("usual", "events", records, 1000)
        wrong = self.data("wrong", "events", records, 1)
        five = self.data("five", "events", 5 * records, 1000)
        peers = ["polars_events", "polars_events_default", "duckdb_events", "clickhouse_events"]
        for n in range(self.rounds):
            jobs = [*peers, "sqlite_events"] if n == 0 else peers
            for peer in [job for job in jobs for _ in range(PAIRS.get(job, 1))]:
                with Scratch(self.folder) as home:
                    theirs = self.peer(peer, clean / "events.csv", home / "out")
                with Scratch(self.folder) as home:
                    self.note_pair("events", peer, theirs, self.ours(usual, "events", home))
            for what, data in [
                ("events, every record rejected", wrong),
                ("events, no record rejected", clean),
                ("events, five times as many", five),
            ]:
                with Scratch(self.folder) as home:
                    self.note(what, "sftp-import", self.ours(data, "events", home))

    def profiles(self):
        records, profiles = 3_000_000 // self.scale, 1_000_000 // self.scale
        data = self.data("all", "profiles", records, profiles)
        other = self.data("other", "profiles", records, profiles, 44)
        imports = [
            ("profiles, first load", data),
            ("profiles, again", data),
            ("profiles, again, other values", other),
        ]
        ways = ["staged", "lists", "key", "anew", "conflict"]
        peers = [*[f"duckdb_profiles_{way}" for way in ways], "duckdb_profiles"]
        for _ in range(self.rounds):
            with Scratch(self.folder) as home:
                for what, data in imports:
                    self.note(what, "sftp-import", self.ours(data, "profiles", home))
            for peer in [*peers, "sqlite_profiles"]:
                with Scratch(self.folder) as home:
                    for what, data in imports:
                        if self.is_slow(what, peer):
                            break
                        csv = data / "profiles.csv"
                        self.note(what, peer, self.peer(peer, csv, home / "out"))
                        if self.runs[what, peer][-1][0] >= END_OF_PATIENCE:
                            break  # its output is incomplete

    def median(self, what, who, at):
        return statistics.median(run[at] for run in self.runs[what, who])

    def ratio(self, what, who):
        """Returns the tool's wall-clock time divided by sftp-import's time, as the median."""
        if (what, who) in self.pairs:
            return statistics.median(self.pairs[what, who])
        ours = self.runs[what, "sftp-import"]
        return statistics.median(a[0] / b[0] for a, b in zip(self.runs[what, who], ours))

    def table(self):
        lines = [
            "| work | who | seconds | CPU seconds | peak memory | written"
            " | times sftp-import's seconds |",
            "|---|---|---|---|---|---|---|",
        ]
        for what, who in sorted(self.runs, key=lambda key: (key[0], key[1] != "sftp-import")):
            seconds, cpu, peak, written = (self.median(what, who, at) for at in range(4))
            ratio = "" if who == "sftp-import" else f"{self.ratio(what, who):.2f}"
            if seconds >= END_OF_PATIENCE:
                ratio = f"more than {ratio}"
            name = NAMES.get(who, who)
            lines.append(
                f"| {what} | {name} | {shown(seconds)} | {cpu:.1f} | {peak:.0f} MB"
                f" | {written / 1e6:.0f} MB | {ratio} |"
            )
        return "\n".join(lines)


class Scratch:
    """A folder that exists for one run."""

    def __init__(self, folder):
        self.path = folder / "run"

    def __enter__(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def printed_by_us(status, output):
    """Returns whether the import read the whole file. Exit status 1 means rejected records."""
    if status not in (0, 1) or not output.startswith(b"{"):
        return False
    report = json.loads(output)
    return report["failure"] is None and report["records"]["read"] > 0


def measure(command, succeeded=lambda status, _: status == 0, patience=threading.TIMEOUT_MAX):
    """Runs a command. Returns its wall-clock seconds, CPU seconds and peak memory in MB. The
    command must succeed, or is killed after `patience` seconds."""
    os.sync()  # a run must not wait for data of earlier runs
    take_memory()
    begin = time.monotonic()
    command = list(map(str, command))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    # Also kills the processes that the command has started.
    end = threading.Timer(patience, os.killpg, (process.pid, signal.SIGKILL))
    end.start()
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    end.cancel()
    seconds = time.monotonic() - begin
    if seconds < patience and not succeeded(os.waitstatus_to_exitcode(status), output):
        sys.exit(f"{command}\n{output.decode()}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10


def shown(seconds):
    """Formats a time in seconds. For a killed run, the text begins with "more than"."""
    ended = seconds >= END_OF_PATIENCE
    return f"more than {END_OF_PATIENCE}" if ended else f"{seconds:.2f}"


def take_memory():
    """Makes free memory available: the host of a virtual machine may have reclaimed unused memory,
    and the next process that uses such memory would wait for each page."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    flags = "mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE"
    take = f"import mmap; mmap.mmap(-1, {min(MEMORY, free // 2)}, flags={flags})"
    # A separate process allocates, because the peak memory of a child begins with that of its
    # parent.
    subprocess.run([sys.executable, "-c", take], check=True)


def bytes_below(path):
    """Returns the size of a file, or of all files in a folder, in bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(": ")[1].strip() for line in info if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} × {model or platform.machine()}, {memory} GB, Linux"
        f" {platform.release().split('-')[0]}, load {load:.1f} at the end"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("make_data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--lines", type=Path, help="the lines printed by the other benches")
    parser.add_argument("--limits", type=Path, help="the output of the limits bench")
    args = parser.parse_args()
    bench = Bench(args.program, args.make_data, args.folder, args.quick)
    bench.events()
    bench.profiles()
    size = "a tenth of the data, " if args.quick else ""
    text = f"{machine()}; {size}medians of {bench.rounds} rounds.\n\n{bench.table()}\n"
    if args.lines:
        lines = args.lines.read_text().splitlines()
        text += "\n### The daemon and the helper\n\n" + "".join(f"- {line}\n" for line in lines)
    picture = (args.write or args.folder / "performance").with_name("performance-stages.svg")
    text += f"\n### Stages\n\n{stages_of(bench, args.limits, picture)}\n"
    print(text)
    if args.write:
        page = args.write.read_text()
        before, rest = page.split(BEGIN, 1)
        after = rest.split(END, 1)[1]
        args.write.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def stages_of(bench, limits, picture):
    """Returns a table with the CPU time of each stage of an events import and its lower bound."""
    records = 10_000_000 // bench.scale
    usual = bench.data("usual", "events", records, 1000)
    gigabytes = (usual / "events.csv").stat().st_size / 1e9
    with Scratch(bench.folder) as home:
        found = stages.draw(bench, usual, home, picture)
    least = json.loads(limits.read_text()) if limits else {}
    seconds = bench.median("events", "sftp-import", 1) / gigabytes
    shown = f"![The stages' shares of an events import's CPU time]({picture.name})\n\n"
    return shown + stages.table(found, seconds, least) if found else "perf(1) is not installed."


if __name__ == "__main__":
    main()
