"""Reads one account's folder of the local store with DuckDB, Polars and sqlite3; prints JSON.

Usage: read.py FOLDER

The folder is read as an analyst would: globs, Hive partitions, no knowledge of the program. The
three must agree on what they both can read; the caller compares what is printed.
"""

import json
import sqlite3
import sys
from pathlib import Path

import duckdb
import polars

EVENTS = """
    SELECT * REPLACE (CAST("import" AS VARCHAR) AS "import")
    FROM read_parquet('{glob}', hive_partitioning = true, union_by_name = true)
    ORDER BY "import", source_line
"""


def plain(value):
    """Times as text; everything else as JSON has it."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def rows(names, tuples):
    return [dict(zip(names, map(plain, row))) for row in tuples]


def duckdb_events(folder, pattern):
    connection = duckdb.connect(config={"TimeZone": "UTC"})
    cursor = connection.execute(EVENTS.format(glob=folder / pattern))
    columns = [(name, str(kind)) for name, kind, *_ in cursor.description]
    return {"columns": columns, "rows": rows([name for name, _ in columns], cursor.fetchall())}


def polars_events(folder, pattern):
    frame = polars.scan_parquet(
        folder / pattern, hive_partitioning=True, missing_columns="insert", extra_columns="ignore"
    )
    frame = frame.sort("import", "source_line").collect()
    columns = [(name, str(kind)) for name, kind in frame.schema.items()]
    return {"columns": columns, "rows": rows(frame.columns, frame.rows())}


PROFILES = """
    SELECT kind, value, properties, created_at, updated_at
    FROM {schema}identity JOIN {schema}profile ON id = profile_id
    ORDER BY kind, value
"""
PROFILE_COLUMNS = ["kind", "value", "properties", "created_at", "updated_at"]


def sqlite_profiles(folder):
    connection = sqlite3.connect(f"file:{folder / 'profiles.db'}?mode=ro", uri=True)
    return rows(PROFILE_COLUMNS, connection.execute(PROFILES.format(schema="")))


def main():
    folder = Path(sys.argv[1])
    json.dump(
        {
            "duckdb": duckdb_events(folder, "events/import=*/*.parquet"),
            "duckdb_all": duckdb_events(folder, "events/**/*.parquet"),
            "polars": polars_events(folder, "events/import=*/*.parquet"),
            "polars_all": polars_events(folder, "events/**/*.parquet"),
            "sqlite": sqlite_profiles(folder),
        },
        sys.stdout,
    )


main()
