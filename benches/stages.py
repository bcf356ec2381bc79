"""Measures the CPU time of each stage of an events import with perf(1), and draws the shares."""

import re
import shutil
import subprocess
import sys
from html import escape

# The stage of a sample is the first one whose pattern matches the sample's thread and symbol. An
# inlined symbol counts as the symbol that contains it.
STAGES = [
    ("reading (kernel)", r"import-read .*\[k\]"),
    ("SHA-256", r"import-read .*sha2"),
    ("splitting into blocks", r"import-read "),
    ("finding cells", r"import-parse .*(lex|[Mm]arks)"),
    ("UTF-8", r"import-parse .*(utf8|Utf8)"),
    ("checking and typing", r"import-parse "),
    ("zstd", r"store .*(ZSTD|HUF|FSE|HIST|zstd|XXH)"),
    ("Parquet encoding", r"store "),
    ("the rest", r""),
]
COLOURS = "#4e79a7 #f28e2b #76b7b2 #e15759 #59a14f #edc948 #b07aa1 #ff9da7 #bab0ac".split()


def shares(report):
    """Returns the percentage of each stage. A line of `report` is `12.34% thread [.] symbol`."""
    found = {name: 0.0 for name, _ in STAGES}
    for line in report.splitlines():
        match = re.match(r"\s*([\d.]+)%\s+(.*)", line)
        if match:
            name = next(name for name, pattern in STAGES if re.search(pattern, match[2]))
            found[name] += float(match[1])
    return {name: share for name, share in found.items() if share >= 0.05}


def svg(found):
    width, x, parts = 900, 0.0, []
    total = sum(found.values())
    for n, (name, share) in enumerate(found.items()):
        part = width * share / total
        colour = COLOURS[n % len(COLOURS)]
        parts.append(f'<rect x="{x:.1f}" y="10" width="{part:.1f}" height="50" fill="{colour}"/>')
        column, row = n % 3, n // 3
        left, top = 10 + column * 300, 85 + row * 24
        parts.append(f'<rect x="{left}" y="{top - 11}" width="12" height="12" fill="{colour}"/>')
        label = escape(f"{name}: {100 * share / total:.0f} %")
        parts.append(f'<text x="{left + 18}" y="{top}">{label}</text>')
        x += part
    height = 100 + 24 * ((len(found) + 2) // 3)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="14">'
        '<rect width="100%" height="100%" fill="white"/>' + "\n".join(parts) + "</svg>\n"
    )


def table(found, seconds, least):
    """Returns a table with the CPU seconds per GB of each stage, and the lower bounds `least`."""
    lines = ["| stage | CPU s a GB | lower bound | times |", "|---|---|---|---|"]
    total = sum(found.values())
    for name, share in found.items():
        takes = seconds * share / total
        at_least = f"{least[name]:.2f}" if name in least else ""
        times = f"{takes / least[name]:.1f}" if name in least else ""
        lines.append(f"| {name} | {takes:.2f} | {at_least} | {times} |")
    return "\n".join(lines)


def draw(bench, data, home, picture):
    """Imports `data` under perf. Draws and returns the share of each stage in the CPU time."""
    if not shutil.which("perf"):
        print("no picture: perf(1) is not installed", file=sys.stderr)
        return {}
    samples = home / "perf.data"
    wrapper = home / "program"
    wrapper.write_text(
        f'#!/bin/sh\nexec perf record -q -e cpu-clock -F 499 -o {samples} "{bench.program}" "$@"\n'
    )
    wrapper.chmod(0o755)
    program, bench.program = bench.program, wrapper
    try:
        bench.ours(data, "events", home)
    finally:
        bench.program = program
    report = ["perf", "report", "-i", samples, "--stdio", "-g", "none", "--sort", "comm,sym"]
    output = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    found = shares(output)
    picture.write_text(svg(found))
    return found
