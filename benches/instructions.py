"""Counts what a record costs in instructions, and holds it against what is noted.

    python benches/instructions.py PROGRAM MAKE_DATA NOTED [--write]

Each work is an `ingest` under valgrind's cachegrind, of some records and of twice as many: the
difference is the records' alone. SHA-256 is left out: under valgrind it runs without the
processor's own instructions for it, and would hide what the rest costs. glibc copies and clears memory
by its vector loops: on processors with fast `rep` instructions it would use those from some length
on, and valgrind counts each of their steps, which makes counts differ between machines by 3 %.
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
# Worth noting: the next 10 % begin there.
CHEAPER = 0.95


class Work:
    """What is imported: `more` goes to the generator, `times` as often into one home."""

    def __init__(self, name, kind, more, times=1):
        self.name, self.kind, self.more, self.times = name, kind, more, times


WORKS = [
    Work("events", "events", lambda records: 1000),
    Work("events, every record rejected", "events", lambda records: 1),
    Work("profiles, first load", "profiles", lambda records: records // 3),
    Work("profiles, again", "profiles", lambda records: records // 3, times=2),
]


def count(program, make_data, work, records, folder):
    """The instructions of the last of the work's imports."""
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
    """Instructions by function, summed up; see cachegrind's manual for the format."""
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
            verdict = "DEARER by more than 10 %"
            dearer += 1
        elif now < before * CHEAPER:
            verdict = "cheaper: note it with scripts/instructions --write"
        print(f"{name}: {now} instructions a record, {before} noted {verdict}", flush=True)
    sys.exit(1 if dearer else 0)


if __name__ == "__main__":
    main()
