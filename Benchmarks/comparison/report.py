"""RESULTS.md: every figure with its command, its machine and its date."""

import datetime
import os
import platform
import statistics
import subprocess


def median(values: list[float]) -> float:
    return statistics.median(values)


def ratio(row: dict, other: str, figure: str) -> str:
    """Other tool over dr, the median of the rounds' ratios; >1 is better for dr."""
    if other not in row or "dr" not in row or figure not in row[other]:
        return "-"
    pairs = zip(row[other][figure], row["dr"][figure])
    return f"{median([left / right for left, right in pairs if right]):.2f}x"


END = "<!-- Written by Benchmarks/compare up to here; what follows is written by hand. -->"


def write(path, text: str) -> None:
    """Replaces what an earlier comparison wrote; what follows its end mark stays."""
    kept = path.read_text().partition(END)[2] if path.exists() else ""
    path.write_text(text + "\n" + END + (kept or "\n"))


def processor() -> str:
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def render(results: dict, options, versions: list[str]) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    lines = [
        "# Results", "",
        f"Written by `Benchmarks/compare` on {datetime.date.today()}, {os.cpu_count()} cores of {processor()},"
        f" {memory} GiB, Linux {platform.release().split('-')[0]}, scale {options.scale:g}.",
        "Medians of the rounds (n); a ratio is the other tool's figure over dr's, within each round: above 1 dr is",
        "better. Every dr figure is with verification before reference. Ratios travel between machines; times do not.",
        "", "Versions: " + "; ".join(versions) + ".", "",
        "| what | n | tool | wall s | cpu s | peak MiB | MB/s | wall ratio | cpu ratio |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    sizes = {name.split()[0]: row["bytes"]["read"][0] for name, row in results.items() if "bytes" in row}
    for name, row in sorted(results.items()):
        for tool, figures in row.items():
            if "wall" not in figures:
                continue
            wall = median(figures["wall"])
            size = sizes.get(name.split()[0])
            rate = f"{size / wall / 1e6:.0f}" if size else "-"
            lines.append(
                f"| {name} | {len(figures['wall'])} | {tool} | {wall:.2f} | {median(figures['cpu']):.2f} | {median(figures['memory']):.0f} | {rate}"
                f" | {ratio(row, tool, 'wall')} | {ratio(row, tool, 'cpu')} |")
    lines += ["", "| bytes | tool | MB | ratio |", "| --- | --- | ---: | ---: |"]
    for name, row in sorted(results.items()):
        for figure in ("stored", "added"):
            for tool, figures in row.items():
                if figure in figures:
                    lines.append(
                        f"| {name}, {figure} | {tool} | {median(figures[figure]) / 1e6:.1f} | {ratio(row, tool, figure)} |")
    return "\n".join(lines) + "\n"
