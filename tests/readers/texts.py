"""Reads a folder of Parquet files with DuckDB and Polars; prints a digest of each text and integer
column.

Usage: texts.py FOLDER

For each reader and column it prints the number of nulls and the SHA-256 of all other values in row
order, each after its length in bytes and a colon. It also prints the row with source_line 40,000.
"""

import hashlib
import json
import sys

import duckdb
import polars


def summary(texts):
    digest, nulls = hashlib.sha256(), 0
    for text in texts:
        if text is None:
            nulls += 1
            continue
        text = str(text).encode()
        digest.update(b"%d:" % len(text) + text)
    return [nulls, digest.hexdigest()]


def by_duckdb(glob):
    rows = f"FROM read_parquet('{glob}', hive_partitioning = false)"
    one = duckdb.execute(f"SELECT * {rows} WHERE source_line = 40000")
    names = [column[0] for column in one.description]
    found = {"columns": {}, "row": dict(zip(names, one.fetchone()))}
    for name in names:
        if name != "source_line":
            cursor = duckdb.execute(f'SELECT "{name}" {rows} ORDER BY source_line')
            found["columns"][name] = summary(row[0] for row in cursor.fetchall())
    return found


def by_polars(glob):
    frame = polars.scan_parquet(glob, hive_partitioning=False)
    whole = frame.sort("source_line").collect()
    columns = [name for name in whole.columns if name != "source_line"]
    one = frame.filter(polars.col("source_line") == 40000).collect()
    return {
        "columns": {name: summary(whole[name]) for name in columns},
        "row": one.row(0, named=True),
    }


def main():
    glob = f"{sys.argv[1]}/*.parquet"
    json.dump({"duckdb": by_duckdb(glob), "polars": by_polars(glob)}, sys.stdout)


main()
