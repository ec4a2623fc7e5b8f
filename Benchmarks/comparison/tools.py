"""The tools that are compared, each as the same few verbs; and how one command is measured."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a password for benchmarks"


@dataclass
class Measured:
    """One command: seconds on the clock, seconds of processor, MiB of memory of its largest process."""

    wall: float
    cpu: float
    memory: float


def measure(command: list[str], environment: dict[str, str], stdout=None, before=None) -> Measured:
    """Runs a command to its end. Its errors end the comparison."""
    os.sync()
    log = open(os.path.join(environment["SCRATCH"], "log"), "ab")
    log.write((" ".join(command) + "\n").encode())
    log.flush()
    begin = time.perf_counter()
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log,
        preexec_fn=before)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"failed ({child.returncode}): {' '.join(command)}; see {log.name}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def folder_size(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(path) for name in names)


class Tool:
    """One backup program with a repository of its own below a scratch folder."""

    name = ""

    def __init__(self, scratch: Path):
        self.scratch = scratch / self.name
        self.repository = self.scratch / "repository"
        self.environment = dict(
            PATH=os.environ["PATH"], HOME=str(self.scratch), SCRATCH=str(scratch), LC_ALL="C.UTF-8")

    def reset(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)

    def run(self, *command: str, **streams) -> Measured:
        return measure([str(part) for part in command], self.environment, **streams)

    def size(self) -> int:
        return folder_size(self.repository)


class Dr(Tool):
    name = "dr"

    def __init__(self, scratch: Path, program: str):
        super().__init__(scratch)
        self.program = program
        self.environment["XDG_STATE_HOME"] = str(self.scratch / "state")

    def configure(self, workload: str) -> None:
        (self.scratch / "dr.yaml").write_text(
            f"repository: {self.repository}\nservices:\n  data:\n    {workload}\n")

    def dr(self, *words: str, before=None) -> Measured:
        return self.run(self.program, "--config", self.scratch / "dr.yaml", *words, before=before)

    def init(self) -> None:
        """Opened with a random key from then on, as unattended machines do: no KDF."""
        self.reset()
        self.configure("files: [/nonexistent]")
        key = self.scratch / "key"
        self.environment |= dict(DR_PASSWORD=PASSWORD)
        self.environment.pop("DR_KEY_FILE", None)
        self.dr("init")
        self.dr("key", "add", "--random-key", key)
        del self.environment["DR_PASSWORD"]
        self.environment["DR_KEY_FILE"] = str(key)

    def backup(self, path: Path, before=None) -> Measured:
        """`before` is called in the new process, before the program."""
        self.configure(f"files: [{path}]")
        return self.dr("backup", before=before)

    def backup_stream(self, file: Path) -> Measured:
        self.configure(f"command: {{capture: [cat, {file}]}}")
        return self.dr("backup")

    def restore(self, target: Path, before=None) -> Measured:
        return self.dr("restore", "--to", f"{target}/", "--yes", before=before)


class Restic(Tool):
    name = "restic"

    def __init__(self, scratch: Path, program: str):
        super().__init__(scratch)
        self.program = program
        self.environment |= dict(
            RESTIC_PASSWORD=PASSWORD, RESTIC_REPOSITORY=str(self.repository),
            XDG_CACHE_HOME=str(self.scratch / "cache"))

    def init(self) -> None:
        self.reset()
        self.run(self.program, "init", "-q")

    def backup(self, path: Path) -> Measured:
        return self.run(self.program, "backup", "-q", path)

    def backup_stream(self, file: Path) -> Measured:
        """Through a pipe, as a dump comes, and as dr reads it."""
        return self.run("sh", "-c", 'cat "$1" | "$0" backup -q --stdin', self.program, file)

    def restore(self, target: Path) -> Measured:
        return self.run(self.program, "restore", "-q", "latest", "--target", target)


class Borg(Tool):
    name = "borg"

    def __init__(self, scratch: Path, program: str):
        super().__init__(scratch)
        self.program = program
        self.environment |= dict(
            BORG_PASSPHRASE=PASSWORD, BORG_REPO=str(self.repository),
            BORG_BASE_DIR=str(self.scratch / "base"))
        self.count = 0

    def init(self) -> None:
        self.reset()
        self.count = 0
        self.run(self.program, "init", "-e", "repokey")

    def create(self, *words: str) -> list[str]:
        self.count += 1
        return [self.program, "create", "-C", "zstd,3", f"::a{self.count}", *words]

    def backup(self, path: Path) -> Measured:
        return self.run(*self.create(path))

    def backup_stream(self, file: Path) -> Measured:
        """Through a pipe, as a dump comes, and as dr reads it."""
        return self.run("sh", "-c", 'cat "$0" | "$@"', file, *self.create("-"))

    def restore(self, target: Path) -> Measured:
        inside = ["sh", "-c", f'cd "$0" && exec {self.program} extract "::a{self.count}"', str(target)]
        return self.run(*inside)
