"""Runs one job of another tool, in the fastest way that its documentation describes.

    python benches/peers.py JOB CSV OUT

The jobs do less than sftp-import. They check only the types that they infer. They compute no
digest, write no error file, and do not ensure that their data is on the disk (fsync). For profiles,
DuckDB and SQLite commit a transaction.
"""

import subprocess
import sys

PROFILE_COLUMNS = [
    "time_stamp",
    "cookie_id",
    "id_name",
    "id_email",
    "id_phone",
    "is_married",
    "age",
    "Playlist",
]


def polars_events(csv, out):
    import polars

    # sftp-import uses the same compression level, which is faster than the default. Polars is also
    # faster if it does not keep the order of the file and writes no statistics.
    options = {"compression_level": 1, "maintain_order": False, "statistics": False}
    polars.scan_csv(csv).sink_parquet(out, compression="zstd", **options)


def polars_events_default(csv, out):
    import polars

    polars.scan_csv(csv).sink_parquet(out, compression="zstd")


def duckdb_events(csv, out):
    import duckdb

    # DuckDB is faster if it does not keep the order of the file.
    duckdb.sql("SET preserve_insertion_order = false")
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    duckdb.sql(f"COPY (FROM read_csv('{csv}')) TO '{out}' ({options})")


def clickhouse_events(csv, out):
    from chdb import session

    run = session.Session(out).query
    run("CREATE DATABASE IF NOT EXISTS bench")
    run(
        "CREATE TABLE bench.events ENGINE = MergeTree ORDER BY tuple()"
        f" AS SELECT * FROM file('{csv}', CSVWithNames)"
    )


def sqlite_events(csv, out):
    pragmas = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
    sqlite(out, f"{pragmas}\n.import --csv {csv} events\n")


def last_records(csv, playlist="last(Playlist)"):
    """Returns DuckDB's query for the last record of each profile."""
    last = ", ".join(f"last({name}) AS {name}" for name in PROFILE_COLUMNS[:-1])
    return (
        f"SELECT identity, {last}, {playlist} AS Playlist FROM read_csv('{csv}') GROUP BY identity"
    )


def prepare_table(database, select, has_key=False):
    """Makes an empty table for the profiles of `select`, unless the table exists."""
    found = database.sql("FROM duckdb_tables() WHERE table_name = 'profile'").fetchall()
    database.sql(f"CREATE TABLE IF NOT EXISTS profile AS {select} LIMIT 0")
    if has_key and not found:
        database.sql("ALTER TABLE profile ADD PRIMARY KEY (identity)")


def changes(new, playlist=None):
    """Returns the assignments of an UPDATE from the rows of `new`."""
    columns = [f"{name} = {new}.{name}" for name in PROFILE_COLUMNS[:-1]]
    return ", ".join([*columns, f"Playlist = {playlist or f'{new}.Playlist'}"])


def duckdb_profiles_conflict(csv, out):
    """Upserts in one plain statement, which needs a key."""
    import duckdb

    database = duckdb.connect(out)
    select = last_records(csv)
    prepare_table(database, select, has_key=True)
    database.sql(
        f"INSERT INTO profile {select} ON CONFLICT (identity) DO UPDATE SET {changes('excluded')}"
    )
    database.close()


def duckdb_profiles(csv, out):
    """Upserts in one statement, without a key."""
    import duckdb

    database = duckdb.connect(out)
    select = last_records(csv)
    prepare_table(database, select)
    database.sql(
        f"MERGE INTO profile USING ({select}) AS new ON profile.identity = new.identity"
        f" WHEN MATCHED THEN UPDATE SET {changes('new')} WHEN NOT MATCHED THEN INSERT"
    )
    database.close()


def duckdb_staged(csv, out, has_key, has_lists):
    """Upserts in steps: a staging table, an UPDATE of known profiles, an INSERT of the others."""
    import duckdb

    database = duckdb.connect(out)
    own, both = "last(Playlist)", None
    if has_lists:  # lists may be in any order
        own, both = "list_distinct(list(Playlist))", "list_concat(profile.Playlist, stage.Playlist)"
        both = f"list_distinct({both})"
    select = last_records(csv, own)
    prepare_table(database, select, has_key)
    database.sql(f"CREATE TEMP TABLE stage AS {select}")
    same = "profile.identity = stage.identity"
    database.sql("BEGIN")
    database.sql(f"UPDATE profile SET {changes('stage', both)} FROM stage WHERE {same}")
    database.sql("INSERT INTO profile SELECT * FROM stage ANTI JOIN profile USING (identity)")
    database.sql("COMMIT")
    database.close()


def duckdb_profiles_staged(csv, out):
    duckdb_staged(csv, out, has_key=False, has_lists=False)


def duckdb_profiles_lists(csv, out):
    duckdb_staged(csv, out, has_key=False, has_lists=True)


def duckdb_profiles_key(csv, out):
    duckdb_staged(csv, out, has_key=True, has_lists=True)


def duckdb_profiles_anew(csv, out):
    """Makes a new table from the existing table and the file, with lists, instead of an upsert."""
    import duckdb

    database = duckdb.connect(out)
    select = last_records(csv, "list_distinct(list(Playlist))")
    prepare_table(database, select)
    columns = [f"coalesce(new.{name}, profile.{name}) AS {name}" for name in PROFILE_COLUMNS[:-1]]
    both = "list_distinct(list_concat(profile.Playlist, new.Playlist)) AS Playlist"
    database.sql(
        f"CREATE OR REPLACE TABLE profile AS SELECT identity, {', '.join(columns)}, {both}"
        f" FROM profile FULL JOIN ({select}) AS new USING (identity)"
    )
    database.close()


def sqlite_profiles(csv, out):
    """Stages the records, then upserts them one by one, as SQLite's documentation describes."""
    columns = ", ".join(PROFILE_COLUMNS)
    sqlite(
        out,
        f"""PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS profile (identity TEXT PRIMARY KEY, {columns}) WITHOUT ROWID;
        .import --csv --schema temp {csv} stage
        INSERT INTO profile (identity, {columns})
        SELECT identity, {columns} FROM temp.stage WHERE true
        ON CONFLICT (identity) DO UPDATE SET {changes('excluded')};
        """,
    )


def sqlite(path, script):
    lines = "\n".join(line.strip() for line in script.splitlines())
    subprocess.run(["sqlite3", path], input=lines, text=True, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
