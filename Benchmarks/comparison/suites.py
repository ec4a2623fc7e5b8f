"""What is measured: one function a suite, each a row or a few of the results."""

import multiprocessing
import os
import shutil
import statistics
import subprocess
from pathlib import Path

from . import data, many
from .tools import Borg, Dr, Restic, folder_size, measure

GIB = 1 << 30


class Bench:
    """The tools, the data and the figures of one call."""

    def __init__(self, options):
        self.options = options
        self.scratch: Path = options.scratch
        self.data = self.scratch / f"data-{options.scale:g}"
        self.tools = [Dr(self.scratch, os.path.abspath(options.dr))]
        if options.restic:
            self.tools.append(Restic(self.scratch, options.restic))
        if options.borg:
            self.tools.append(Borg(self.scratch, options.borg))
        self.environment = self.tools[0].environment
        self.results: dict[str, dict] = {}

    def scaled(self, amount: int) -> int:
        return max(1, int(amount * self.options.scale))

    def note(self, suite: str, tool: str, figure: str, value: float) -> None:
        """One figure of one round."""
        row = self.results.setdefault(suite, {}).setdefault(tool, {})
        row.setdefault(figure, []).append(round(value, 4))
        print(f"{suite:24} {tool:8} {figure:8} {value:12.3f}", flush=True)

    def measured(self, suite: str, tool: str, result) -> None:
        for figure in ("wall", "cpu", "memory"):
            self.note(suite, tool, figure, getattr(result, figure))

    def rounds(self):
        """Rounds, each with the tools in another order."""
        for number in range(self.options.rounds):
            turn = number % len(self.tools)
            yield self.tools[turn:] + self.tools[:turn]

    def tidy(self) -> None:
        for tool in self.tools:
            shutil.rmtree(tool.scratch, ignore_errors=True)
        shutil.rmtree(self.scratch / "restored", ignore_errors=True)

    def plain(self, suite: str, tool: str, script: str) -> None:
        self.measured(suite, tool, measure(["sh", "-c", script], self.environment))

    def fresh_target(self) -> Path:
        target = self.scratch / "restored"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        return target

    def versions(self) -> list[str]:
        commands = [[self.options.dr, "version"]]
        commands += [[program, word] for program, word in (
            (self.options.restic, "version"), (self.options.borg, "--version"),
            ("zstd", "--version"), ("tar", "--version")) if program]
        return [
            subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0].strip("* ")
            for command in commands]


def warm(path: Path) -> None:
    """Reads everything once, so that all tools find the same in the page cache."""
    subprocess.run(["sh", "-c", 'tar cf - "$0" 2>/dev/null | cat >/dev/null', str(path)], check=True)


def _first_backup(bench: Bench, suite: str, path: Path, archive: str) -> None:
    """First backup, restore and unchanged backup of one path, with zstd and tar beside."""
    warm(path)
    restored = suite.replace("first", "restore")
    again = suite.replace("first", "unchanged")
    for tools in bench.rounds():
        out = bench.scratch / "compressed"
        bench.plain(suite, "zstd", f"{archive} | zstd -q -3 -T2 -f -o {out}")
        out.unlink()
        for tool in tools:
            tool.init()
            bench.measured(suite, tool.name, tool.backup(path))
            bench.note(suite, tool.name, "stored", tool.size())
            if "small" not in suite:
                bench.measured(restored, tool.name, tool.restore(bench.fresh_target()))
            bench.measured(again, tool.name, tool.backup(path))
            tool.reset()
        if "small" not in suite:
            tar = bench.scratch / "plain.tar"
            subprocess.run(["tar", "cf", tar, path], check=True, stderr=subprocess.DEVNULL)
            bench.plain(restored, "tar", f"tar -C {bench.fresh_target()} -xf {tar}")
            tar.unlink()
    bench.results[suite]["bytes"] = {"read": [folder_size(path)]}
    bench.fresh_target()


def tree(bench: Bench) -> None:
    """A mixed tree of 100,000 files and 4 GB: first backup, restore, unchanged backup."""
    path = data.mixed_tree(bench.data / "tree", bench.scaled(100_000), bench.scaled(4_000_000_000))
    _first_backup(bench, "tree first", path, f"tar cf - {path} 2>/dev/null")


def big(bench: Bench) -> None:
    """One file of 3 GB: first backup, restore, unchanged backup."""
    path = data.big_file(bench.data / "big", bench.scaled(3_000_000_000))
    _first_backup(bench, "big first", path, f"cat {path}/big.bin")


def small(bench: Bench) -> None:
    """200,000 files of 1 to 8 KiB: first backup, unchanged backup."""
    path = data.small_files(bench.data / "small", bench.scaled(200_000))
    _first_backup(bench, "small first", path, f"tar cf - {path} 2>/dev/null")


def stream(bench: Bench) -> None:
    """A stream of 3 GB that is stored already, read again."""
    path = data.big_file(bench.data / "big", bench.scaled(3_000_000_000)) / "big.bin"
    warm(path.parent)
    for tool in bench.tools:
        tool.init()
        tool.backup_stream(path)
    for tools in bench.rounds():
        for tool in tools:
            bench.measured("stream again", tool.name, tool.backup_stream(path))
    bench.results["stream again"]["bytes"] = {"read": [path.stat().st_size]}


def growth(bench: Bench) -> None:
    """Bytes that the second day adds."""
    dump = data.dump_days(bench.data / "dump", bench.scaled(400_000_000))
    disk = data.disk_days(bench.data / "disk", bench.scaled(1 << 30))
    tree = data.mixed_tree(bench.data / "tree", bench.scaled(100_000), bench.scaled(4_000_000_000))
    for name, days in (("day 2 dump", dump), ("day 2 disk", disk)):
        today = bench.scratch / "today"
        for tool in bench.tools:
            tool.init()
            for day in ("1", "2"):
                shutil.rmtree(today, ignore_errors=True)
                shutil.copytree(days / day, today)
                before = tool.size()
                tool.backup(today)
            bench.note(name, tool.name, "added", tool.size() - before)
            tool.reset()
        shutil.rmtree(today, ignore_errors=True)
    undo = bench.scratch / "undo"
    for tool in bench.tools:
        tool.init()
        tool.backup(tree)
        before = tool.size()
        data.edit_200(tree, undo)
        try:
            tool.backup(tree)
        finally:
            data.undo_edits(undo)
        bench.note("day 2 edits", tool.name, "added", tool.size() - before)
        tool.reset()


def chunks(bench: Bench) -> None:
    """Memory and time with 16 million chunks in the index, cold, and under a limit of 256 MiB."""
    path = data.mixed_tree(bench.data / "tree", bench.scaled(100_000), bench.scaled(4_000_000_000))
    dr = bench.tools[0]
    for count in (0, bench.scaled(16_000_000)):
        name = f"{count / 1e6:g} M chunks"
        for limited in (False, True):
            dr.init()
            little = bench.scratch / "little"
            little.mkdir(exist_ok=True)
            (little / "file").write_bytes(b"something to begin with")
            dr.backup(little)
            if count:
                (table,) = (dr.scratch / "state").rglob("chunks-*.sqlite")
                # In a process of its own: the peak of what is measured counts what its parent was.
                growing = multiprocessing.Process(target=many.grow, args=(dr.repository, table, count))
                growing.start()
                growing.join()
            warm(path)
            many.drop_caches()
            limit = many.limit_memory(256 << 20) if limited else None
            if limited and limit is None:
                print("no cgroup with a memory limit here: left out")
                continue
            suffix = ", 256 MiB" if limited else ""
            bench.measured(f"{name} first{suffix}", "dr", dr.backup(path, limit))
            many.drop_caches()
            bench.measured(
                f"{name} restore{suffix}", "dr", dr.restore(bench.fresh_target(), limit))
            dr.reset()
    bench.fresh_target()


SUITES = {"tree": tree, "big": big, "small": small, "stream": stream, "growth": growth, "chunks": chunks}
