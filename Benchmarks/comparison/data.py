"""The data that all tools back up: real files of this machine where they do, seeded ones where not.

Every maker is deterministic for one machine: walks are ordered by the hash of each path, random bytes
come from a seed. A data set that is there already is used again.
"""

import hashlib
import os
import random
import shutil
from pathlib import Path

SOURCES = ("/usr/share", "/usr/include", "/usr/lib")
MEDIA_SHARE = 0.12


def real_files(limit: int) -> list[tuple[str, int]]:
    """Regular files of the operating system with their sizes, in an order that mixes all kinds."""
    found = []
    for top in SOURCES:
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                size = os.path.getsize(path)
                if size <= 64 << 20:
                    found.append((path, size))
    found.sort(key=lambda item: hashlib.sha1(os.fsencode(item[0])).digest())
    return found[:limit]


def once(make):
    """Makes a data set in a folder beside, and gives it its name when it is whole."""

    def wrapped(target: Path, *arguments) -> Path:
        if not target.exists():
            beside = target.with_name(target.name + ".making")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            make(beside, *arguments)
            beside.rename(target)
        return target

    return wrapped


@once
def mixed_tree(target: Path, files: int, size: int) -> None:
    """`files` files of `size` bytes in all: the system's own, and media that does not compress."""
    rng = random.Random(1)
    media = int(size * MEDIA_SHARE)
    left = size - media
    count = 0
    for path, length in real_files(files):
        if length > left:
            continue
        copy = target / "real" / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        left -= length
        count += 1
    # What the machine has too little of: the same kind of files once more, each changed in one place.
    originals = [path for path, length in real_files(files) if length > 256]
    at = 0
    while count < files - 100 and at < len(originals):
        content = bytearray(Path(originals[at]).read_bytes()[: max(0, min(left, 40_000))])
        if len(content) < 64:
            break
        place = rng.randrange(len(content) - 32)
        content[place : place + 32] = rng.randbytes(32)
        copy = target / "more" / f"{at // 500:03}" / f"{at:06}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        left -= len(content)
        count += 1
        at += 1
    for number in range(100):
        copy = target / "media" / f"{number:03}.jpg"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(rng.randbytes((media + max(left, 0)) // 100))


@once
def small_files(target: Path, files: int) -> None:
    """`files` files of 1 to 8 KiB, pieces of text and programs, 100 to a folder."""
    rng = random.Random(2)
    pieces = _corpus(64 << 20)
    for number in range(files):
        folder = target / f"{number // 10000:02}" / f"{number // 100 % 100:02}"
        if number % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        length = rng.randrange(1024, 8192)
        start = rng.randrange(len(pieces) - length)
        (folder / f"{number:06}.conf").write_bytes(pieces[start : start + length])


def _corpus(limit: int) -> bytes:
    parts, length = [], 0
    for path, size in real_files(1 << 30):
        if size < 1 << 20:
            parts.append(Path(path).read_bytes())
            length += size
            if length > limit:
                break
    return b"".join(parts)


def _dump_rows(rows: int, seed: int):
    """Lines of a table as pg_dump writes them, about 140 bytes each, in blocks."""
    rng = random.Random(seed)
    words = "invoice paid open error visit page order parcel north south user admin mail".split()
    for start in range(0, rows, 10_000):
        lines = []
        for number in range(start, min(rows, start + 10_000)):
            lines.append(
                f"{number}\t{rng.getrandbits(64):016x}\t2026-{number % 12 + 1:02}-{number % 28 + 1:02} "
                f"{number % 24:02}:{number % 60:02}:{rng.randrange(60):02}.{rng.randrange(10**6):06}+00\t"
                f"{rng.choice(words)} {rng.choice(words)} {rng.choice(words)}\t{rng.randrange(10**8)}\t"
                f"/{rng.choice(words)}/{rng.randrange(5000)}\t{rng.random():.12f}\n"
            )
        yield "".join(lines).encode()


@once
def big_file(target: Path, size: int) -> None:
    """One file: text and programs, a database dump, an image with old versions, media; a fifth repeats."""
    share = size // 10
    with open(target / "big.bin", "wb") as out:

        def copy_files(limit, keep):
            written = 0
            for path, length in real_files(1 << 30):
                if keep(length) and written + length <= limit:
                    out.write(Path(path).read_bytes())
                    written += length

        copy_files(3 * share, lambda length: length < 256 << 10)
        for block in _dump_rows(2 * share // 110, 3):
            out.write(block)
        copy_files(2 * share, lambda length: length >= 256 << 10)
        rng = random.Random(4)
        for _ in range(share // (1 << 20)):
            out.write(rng.randbytes(1 << 20))
        out.flush()
        # Yesterday's export beside today's: bytes that were there before, at another place.
        left = size - out.tell()
        with open(target / "big.bin", "rb") as again:
            again.seek(share + 12_345)
            while left > 0 and (block := again.read(min(left, 1 << 20))):
                out.write(block)
                left -= len(block)


@once
def dump_days(target: Path, size: int) -> None:
    """A dump, and the same dump a day later with 0.02 % of its rows changed and as many new ones."""
    rng = random.Random(5)
    rows = size // 110
    for day in ("1", "2"):
        (target / day).mkdir()
    changed = set(rng.sample(range(rows), rows // 5000))
    number = 0
    with open(target / "1" / "dump.sql", "wb") as first, open(target / "2" / "dump.sql", "wb") as second:
        for block in _dump_rows(rows, 6):
            first.write(block)
            for line in block.splitlines(keepends=True):
                if number in changed:
                    line = line[:-20] + b"%019d\n" % rng.randrange(10**18)
                second.write(line)
                number += 1
        for block in _dump_rows(rows // 5000, 7):
            second.write(block)


@once
def disk_days(target: Path, size: int) -> None:
    """A disk image with a file system in it, and the same with scattered 4 KiB blocks rewritten."""
    rng = random.Random(8)
    for day in ("1", "2"):
        (target / day).mkdir()
    image = target / "1" / "disk.raw"
    with open(image, "wb") as out:
        out.truncate(size)
    os.system(f"mkfs.ext4 -q -F {image}")
    corpus = _corpus(size * 6 // 10)
    with open(image, "r+b") as out:
        # Files lie from a group's middle on, as ext4 lays them, with free space between.
        at, position = 0, 40 << 20
        while at < len(corpus) and position < size - (4 << 20):
            length = min(rng.randrange(4 << 10, 4 << 20) // 4096 * 4096 + 4096, len(corpus) - at)
            out.seek(position)
            out.write(corpus[at : at + length])
            at += length
            position += (length + 4095) // 4096 * 4096 + rng.randrange(3) * 65536
    later = target / "2" / "disk.raw"
    shutil.copyfile(image, later)
    with open(later, "r+b") as out:
        for _ in range(max(1, size // (1 << 20) // 2)):
            out.seek(rng.randrange(size // 4096) * 4096)
            out.write(rng.randbytes(4096))


def edit_200(tree: Path, undo: Path) -> None:
    """One edit in each of 200 files of a tree, larger than 64 KiB; the originals go to `undo`."""
    rng = random.Random(9)
    candidates = []
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            if 64 << 10 <= os.path.getsize(path) <= 8 << 20:
                candidates.append(path)
    candidates.sort(key=lambda path: hashlib.sha1(os.fsencode(path)).digest())
    shutil.rmtree(undo, ignore_errors=True)
    undo.mkdir(parents=True)
    with open(undo / "list", "w") as names:
        for number, path in enumerate(candidates[:200]):
            shutil.copy2(path, undo / str(number))
            names.write(path + "\n")
            content = bytearray(Path(path).read_bytes())
            place = rng.randrange(len(content))
            content[place:place] = rng.randbytes(20)
            Path(path).write_bytes(content)


def undo_edits(undo: Path) -> None:
    """Puts the originals back, with their times."""
    for number, path in enumerate((undo / "list").read_text().splitlines()):
        shutil.copy2(undo / str(number), path)
    shutil.rmtree(undo)


WORDS = [f"{word}{ending}" for word in ("restor", "servic", "depend", "measur", "volum", "wait") for ending in
         ("e", "ed", "ing", "es", "er", "able", "ation")]


def make_tree(target: Path, size: int, seed: int) -> None:
    """Files of 1 KiB to 8 MiB, `size` bytes in all: text that compresses, and media that does not."""
    rng = random.Random(seed)
    left, number = size, 0
    while left > 0:
        length = min(left, int(1024 * 2 ** rng.uniform(0, 13)))
        path = target / f"d{number % 50}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 0.4:
            path.write_bytes(rng.randbytes(length))
        else:
            line = " ".join(rng.choices(WORDS, k=400)) + f" {rng.random()}\n"
            lines = (f"{rng.getrandbits(40):x} {line}" for _ in range(length // len(line) + 1))
            path.write_bytes("".join(lines).encode()[:length])
        left -= length
        number += 1
