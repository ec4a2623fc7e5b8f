#!/usr/bin/env python3
"""Times dr, and restic beside it, on an S3 store; called by Benchmarks/store."""

import argparse
import asyncio
import collections
import json
import os
import statistics
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from comparison.data import make_tree  # noqa: E402
from comparison.suites import warm  # noqa: E402
from comparison.tools import PASSWORD, Dr, Restic, folder_size  # noqa: E402


class DelayLine:
    """Forwards connections, and lets each byte wait for `delay` seconds in either direction.

    It holds back time, not bandwidth: what is on the way is limited by `WINDOW` alone.
    """

    WINDOW = 32 << 20

    def __init__(self, host: str, port: int):
        self.target = (host, port)
        self.delay = 0.0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True).start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection takes a journey to make.
        await asyncio.sleep(2 * self.delay)
        far_reader, far_writer = await asyncio.open_connection(*self.target, limit=1 << 20)
        await asyncio.gather(
            self._line(reader, far_writer), self._line(far_reader, writer), return_exceptions=True)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        waiting: collections.deque = collections.deque()
        changed = asyncio.Event()
        held, ended = 0, False

        async def leave() -> None:
            nonlocal held
            try:
                while waiting or not ended:
                    if not waiting:
                        changed.clear()
                        await changed.wait()
                        continue
                    due, data = waiting.popleft()
                    if due > loop.time():
                        await asyncio.sleep(due - loop.time())
                    writer.write(data)
                    await writer.drain()
                    held -= len(data)
                    changed.set()
            finally:
                writer.close()

        leaving = asyncio.ensure_future(leave())
        try:
            while data := await reader.read(1 << 20):
                waiting.append((loop.time() + self.delay, data))
                held += len(data)
                changed.set()
                while held > self.WINDOW and not leaving.done():
                    changed.clear()
                    await changed.wait()
        except OSError:
            pass
        ended = True
        changed.set()
        await leaving


class FarDr(Dr):
    """dr with a repository in a bucket."""

    def __init__(self, scratch: Path, program: str, endpoint: str, connections: int = 16):
        super().__init__(scratch, program)
        self.endpoint = endpoint
        self.connections = connections
        self.place = 0
        self.environment |= {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

    def configure(self, workload: str) -> None:
        (self.scratch / "dr.yaml").write_text(
            f'repository: {{place: "s3:{self.endpoint}/backups/{self.place}", connections: {self.connections}}}\n'
            f"services:\n  data:\n    {workload}\n")

    def init(self) -> None:
        self.place += 1
        super().init()


class FarRestic(Restic):
    """restic with a repository in a bucket."""

    def __init__(self, scratch: Path, program: str, endpoint: str):
        super().__init__(scratch, program)
        self.endpoint = endpoint
        self.place = 0
        self.environment |= {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

    def init(self) -> None:
        self.place += 1
        self.environment["RESTIC_REPOSITORY"] = f"s3:{self.endpoint}/restic/{self.place}"
        super().init()


def latency(options, line: DelayLine) -> None:
    """The same bytes at once and with latency: backup, restore, and the memory they take."""
    data = options.scratch / "data"
    make_tree(data, options.size, 1)
    warm(data)
    endpoint = f"http://127.0.0.1:{line.port}"
    tools = [FarDr(options.scratch, options.dr, endpoint, options.connections)]
    if options.restic:
        tools.append(FarRestic(options.scratch, options.restic, endpoint))
    figures: dict = collections.defaultdict(list)
    for _ in range(options.rounds):
        for milliseconds in (0, options.delay):
            for tool in tools:
                line.delay = milliseconds / 2000
                tool.init()
                figures[tool.name, "backup", milliseconds].append(tool.backup(data))
                target = options.target or options.scratch / "restored"
                target.mkdir()
                figures[tool.name, "restore", milliseconds].append(tool.restore(target))
                os.system(f"rm -rf '{target}'")
    size = folder_size(data)
    print(f"{size / 1e6:.0f} MB, {options.rounds} rounds, {options.connections} connections\n")
    print("| program | what | latency ms | wall s | MB/s | CPU s | peak MiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    walls = {}
    for (name, what, milliseconds), all_ in figures.items():
        wall = walls[name, what, milliseconds] = statistics.median(one.wall for one in all_)
        print(f"| {name} | {what} | {milliseconds} | {wall:.2f} | {size / wall / 1e6:.0f} | "
              f"{statistics.median(one.cpu for one in all_):.1f} | {max(one.memory for one in all_):.0f} |")
    print()
    for what in ("backup", "restore"):
        far = walls["dr", what, options.delay]
        print(f"{what}: with latency {100 * walls['dr', what, 0] / far:.0f} % of the rate without", end="")
        if options.restic:
            print(f"; restic takes {walls['restic', what, 0] / walls['dr', what, 0]:.2f}x as long without, "
                  f"{walls['restic', what, options.delay] / far:.2f}x with it", end="")
        print()


def large(options, line: DelayLine) -> None:
    """A repository of many repeated bytes, opened by a machine that knows nothing of it."""
    endpoint = f"http://127.0.0.1:{line.port}"
    dr = FarDr(options.scratch, options.dr, endpoint, options.connections)
    dr.init()
    seed = "-K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000000"
    # The same bytes as often as is wanted, with a gigabyte of zeros between them, as a disk has them.
    stream = (
        f"for n in $(seq {options.times}); do head -c {options.unique} /dev/zero |"
        f" openssl enc -aes-128-ctr {seed} 2>/dev/null; head -c 1000000000 /dev/zero; done")
    steps = []
    for share in (0.25, 1):
        unique = int(options.unique * share)
        text = stream if share == 1 else (
            f"head -c {unique} /dev/zero | openssl enc -aes-128-ctr {seed} 2>/dev/null")
        script = options.scratch / "stream"
        script.write_text(text)
        dr.configure(f"command: {{capture: [bash, {script}]}}")
        took = dr.dr("backup")
        # Another machine: neither a catalog nor a cache.
        for delay in (0, options.delay):
            line.delay = delay / 2000
            walls = []
            for number in range(3):
                dr.environment["XDG_STATE_HOME"] = str(options.scratch / f"other-{share}-{delay}-{number}")
                dr.environment["XDG_CACHE_HOME"] = dr.environment["XDG_STATE_HOME"]
                walls.append(dr.dr("plan"))
            steps.append((share, unique, took, delay, walls))
        line.delay = 0
        dr.environment["XDG_STATE_HOME"] = str(dr.scratch / "state")
    total = (options.unique + 1_000_000_000) * options.times
    print(f"{total / 1e9:.0f} GB in all, {options.unique / 1e9:.1f} GB of them unlike\n")
    print("| unlike GB | latency ms | backup s | plan with an empty catalog s | peak MiB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for _, unique, took, delay, walls in steps:
        print(f"| {unique / 1e9:.1f} | {delay} | {took.wall:.0f} | {statistics.median(w.wall for w in walls):.2f} | "
              f"{max(w.memory for w in walls):.0f} |")
    for delay in (0, options.delay):
        few, many = [(unique, statistics.median(w.wall for w in walls))
                     for _, unique, _, at, walls in steps if at == delay]
        print(f"\nwith {delay} ms: {(many[1] - few[1]) / (many[0] - few[0]) * (1 << 40):.0f} s more per TiB of unlike data")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=["latency", "large"])
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--dr", required=True)
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--restic", help="left out when not named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=800_000_000, help="bytes of the tree (default %(default)s)")
    parser.add_argument("--target", type=Path, help="where restores go, such as /dev/shm/x (default: the scratch)")
    parser.add_argument("--delay", type=float, default=30, help="added to each round trip, in ms (default %(default)s)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--unique", type=int, default=7_000_000_000, help="bytes (default %(default)s)")
    parser.add_argument("--times", type=int, default=25)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    host, port = options.endpoint.removeprefix("http://").split(":")
    line = DelayLine(host, int(port))
    try:
        {"latency": latency, "large": large}[options.suite](options, line)
    except SystemExit:
        sys.stderr.write("".join((options.scratch / "log").read_text().splitlines(True)[-6:]))
        raise


if __name__ == "__main__":
    main()
