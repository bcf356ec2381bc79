"""Counts the instructions per record, and compares them with recorded counts.

    python benches/instructions.py PROGRAM MAKE_DATA NOTED [--write]

Each workload runs `ingest` under valgrind's cachegrind twice, the second time with twice as many
records. The difference is the cost of the records without the cost of the start. SHA-256 is not
counted. Under valgrind, SHA-256 runs without the processor's special instructions, and would hide
the cost of all other code. glibc must copy and clear memory with vector loops. On some processors,
it would use `rep` instructions for long ranges. valgrind counts each step of these instructions, so
the counts of different machines would differ by 3 %.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RECORDS = 40_000
DEARER = 1.10
NEVER = 1 << 40
TUNABLES = ":".join(
    f"glibc.cpu.x86_{name}_threshold={NEVER}"
    for name in ("rep_movsb", "rep_stosb", "non_temporal")
)
# A count below this share of the recorded count should be recorded, because the limit of 10 %
# refers to the recorded count.
CHEAPER = 0.95


class Work:
    """A workload. `more` returns an argument of the generator. `times` is the number of imports."""

    def __init__(self, name, kind, more, times=1):
        self.name, self.kind, self.more, self.times = name, kind, more, times


WORKS = [
    Work("events", "events", lambda records: 1000),
    Work("events, every record rejected", "events", lambda records: 1),
    Work("profiles, first load", "profiles", lambda records: records // 3),
    Work("profiles, again", "profiles", lambda records: records // 3, times=2),
]


def count(program, make_data, work, records, folder):
    """Returns the number of instructions of the last import of a workload."""
    folder.mkdir()
    more = str(work.more(records))
    subprocess.run([make_data, folder, work.kind, str(records), more], check=True)
    config = folder / "config.toml"
    config.write_text(
        f"[paths]\naccounts = '{folder}/accounts'\nstate = '{folder}/state'\n[mail]\nurl = ''\n"
    )
    (folder / "state").mkdir()
    for n in range(work.times):
        manifest = folder / f"{n}.manifest"
        manifest.write_text((folder / f"{work.kind}.manifest").read_text())
        counts = folder / f"counts-{n}"
        command = ["valgrind", "-q", "--tool=cachegrind", "--cache-sim=no"]
        command += [f"--cachegrind-out-file={counts}", program, "--config", config, "--json"]
        command += ["ingest", "--account", "bench", "--errors", folder, manifest]
        environment = os.environ | {"GLIBC_TUNABLES": TUNABLES}
        command = list(map(str, command))
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ran.returncode not in (0, 1) or json.loads(ran.stdout)["records"]["read"] != records:
            sys.exit(f"{work.name}: {ran.stdout}{ran.stderr}")
    return total(counts)


def total(counts):
    """Returns the sum of all counted instructions. cachegrind's manual describes the format."""
    instructions, counted = 0, False
    with counts.open() as lines:
        for line in lines:
            if line.startswith("fn="):
                counted = "sha2" not in line
            elif line[0].isdigit() and counted:
                instructions += int(line.split()[1])
    return instructions


def per_record(program, make_data, work):
    with tempfile.TemporaryDirectory() as folder:
        some, twice = (
            count(program, make_data, work, records, Path(folder) / str(records))
            for records in (RECORDS, 2 * RECORDS)
        )
    return round((twice - some) / RECORDS)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("make_data", type=Path)
    parser.add_argument("noted", type=Path)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    found = {work.name: per_record(args.program, args.make_data, work) for work in WORKS}
    if args.write:
        args.noted.write_text(json.dumps(found, indent=4) + "\n")
    noted = json.loads(args.noted.read_text())
    dearer = 0
    for name, now in found.items():
        before = noted[name]
        verdict = ""
        if now > before * DEARER:
            verdict = "WORSE by more than 10 %"
            dearer += 1
        elif now < before * CHEAPER:
            verdict = "better: note the count with scripts/instructions --write"
        print(f"{name}: {now} instructions a record, {before} noted {verdict}", flush=True)
    sys.exit(1 if dearer else 0)


if __name__ == "__main__":
    main()
