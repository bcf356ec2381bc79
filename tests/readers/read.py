"""Reads one account's folder of the local store with DuckDB, Polars and sqlite3; prints JSON.

Usage: read.py FOLDER [UID GID]

With UID and GID it reads as that user, in no other group.

It reads the folder as an analyst would: with globs and Hive partitions, without the program.
An error ends the script. The caller compares the output.
"""

import json
import os
import sqlite3
import sys
from importlib.resources import files
from pathlib import Path

import duckdb
import polars

EVENTS = """
    SELECT * FROM read_parquet('{glob}', hive_partitioning = true, union_by_name = true)
    ORDER BY "import", source_line
"""
PROFILES = """
    SELECT kind, value, properties, created_at, updated_at
    FROM {database}identity JOIN {database}profile ON id = profile_id
    ORDER BY kind, value
"""


def table(columns, tuples):
    """Returns columns with their types, and rows. Times are text."""
    plain = lambda value: value.isoformat() if hasattr(value, "isoformat") else value
    names = [name for name, _ in columns]
    rows = [dict(zip(names, map(plain, row))) for row in tuples]
    return {"columns": {name: str(kind) for name, kind in columns}, "rows": rows}


def duckdb_table(connection, query):
    cursor = connection.execute(query)
    return table([column[:2] for column in cursor.description], cursor.fetchall())


def polars_events(glob):
    frame = polars.scan_parquet(
        glob, hive_partitioning=True, missing_columns="insert", extra_columns="ignore"
    )
    frame = frame.sort("import", "source_line").collect()
    return table(frame.schema.items(), frame.rows())


def sqlite_profiles(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    cursor = connection.execute(PROFILES.format(database=""))
    return table([(column[0], "") for column in cursor.description], cursor.fetchall())


def connect_duckdb():
    """Loads DuckDB's SQLite scanner from the pinned package, without a download."""
    extensions = files("duckdb_extension_sqlite_scanner") / "extensions"
    scanner = extensions / f"v{duckdb.__version__}" / "sqlite_scanner.duckdb_extension"
    connection = duckdb.connect()
    connection.load_extension(str(scanner))
    return connection


def become(uid, gid):
    """Changes the user, after all Python imports: the user needs access to the store only."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main():
    folder = Path(sys.argv[1])
    partitions = folder / "events/import=*/*.parquet"
    everything = folder / "events/**/*.parquet"
    database = folder / "profiles.db"
    connection = connect_duckdb()
    if len(sys.argv) > 2:
        become(int(sys.argv[2]), int(sys.argv[3]))
    connection.execute(f"ATTACH '{database}' AS profiles (TYPE sqlite, READ_ONLY)")
    found = {
        "duckdb": duckdb_table(connection, EVENTS.format(glob=partitions)),
        "duckdb_everything": duckdb_table(connection, EVENTS.format(glob=everything)),
        "duckdb_profiles": duckdb_table(connection, PROFILES.format(database="profiles.")),
        "polars": polars_events(partitions),
        "polars_everything": polars_events(everything),
        "sqlite_profiles": sqlite_profiles(database),
    }
    json.dump(found, sys.stdout)


main()
