"""A repository that has grown: 16 million chunks in the index, about a terabyte, of which none is real.

Packs are sparse files that are never read. Rows are as `dr` writes them, made by SQLite directly.
"""

import os
import random
import sqlite3
from pathlib import Path

PER_PACK = 512
PER_FRAME = 16
PACK_SIZE = 34 << 20


def grow(repository: Path, table: Path, chunks: int) -> None:
    """Adds `chunks` rows that no content has, and the packs that they name."""
    rng = random.Random(10)
    packs = chunks // PER_PACK
    database = sqlite3.connect(table)
    database.execute("PRAGMA journal_mode=OFF")
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-200000")
    (first,) = database.execute("SELECT coalesce(max(number), 0) + 1 FROM packs").fetchone()
    for number in range(first, first + packs):
        name = rng.randbytes(32)
        folder = repository / "packs" / name.hex()[:2]
        folder.mkdir(exist_ok=True)
        with open(folder / name.hex(), "wb") as file:
            file.truncate(PACK_SIZE)
        database.execute("INSERT INTO packs VALUES (?, ?, ?)", (number, name, PACK_SIZE))
        database.executemany(
            "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?)",
            ((number, frame, 16 + (frame << 20), 1 << 20, 1 << 20, 0)
             for frame in range(PER_PACK // PER_FRAME)))
    # In the order of their names, as a table that was rebuilt is; names are uniform, like hashes.
    step = (1 << 64) // (packs * PER_PACK)

    def rows():
        for at in range(packs * PER_PACK):
            high = at * step + rng.randrange(step)
            number = first + at % packs
            inside = at // packs
            place = (number << 12 | inside // PER_FRAME) << 22 | inside % PER_FRAME << 16
            yield high.to_bytes(8, "big") + rng.randbytes(8), place

    database.executemany("INSERT OR IGNORE INTO chunks VALUES (?, ?)", rows())
    database.commit()
    database.close()


def limit_memory(limit: int):
    """Something that puts the process that calls it under a limit of `limit` bytes; None without cgroups."""
    for root, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / "dr-benchmark"
        try:
            group.mkdir(exist_ok=True)
            (group / name).write_text(str(limit))
        except OSError:
            continue
        return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    return None


def drop_caches() -> None:
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        print("the page cache stays warm: only root may drop it")
