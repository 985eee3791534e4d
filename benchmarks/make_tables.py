"""Write the table of benchmarks/README.md from the newest file in benchmarks/results/.

    python benchmarks/make_tables.py            # rewrites the table
    python benchmarks/make_tables.py --check    # exits 1 when the table is out of date

Files are named by version, ``0.1.0.dev0.json``; the highest version is the newest. Each file is a JSON list of objects
with the keys of ``KEYS``; ``null`` stands for "none". The folders beside them, such as ``0.1.0.dev0/``, hold the full
results that ``genprior bench NAME --json benchmarks/results`` writes, with the same names of sets and metrics; they are
not read here. Only the standard library is needed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PAGE = FOLDER / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
MOST_CHARACTERS = 120  # in a row of the table
KEYS = (
    "set", "method", "side_information", "metric", "value", "blurred", "published", "target", "met", "command", "date",
    "commit",
)  # fmt: skip
HEADS = ("set", "method", "given", "metric", "blurred", "ours", "published", "target", "met")
STAGES = {".dev": 0, "a": 1, "b": 2, "rc": 3, "": 4}
VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:(a|b|rc|\.dev)(\d+))?")


def version_key(path: Path) -> tuple[tuple[int, ...], int, int]:
    """Return a key that sorts results files by version, development versions before the release."""
    match = VERSION.fullmatch(path.stem)
    if match is None:
        raise ValueError(f"{path.name} is not named by a version, such as 0.1.0.dev0.json.")
    release, stage, number = match.groups()
    return tuple(map(int, release.split("."))), STAGES[stage or ""], int(number or 0)


def newest(folder: Path = FOLDER / "results") -> Path:
    """Return the results file of the highest version."""
    files = sorted(folder.glob("*.json"), key=version_key)
    if not files:
        raise ValueError(f"There is no results file in {folder}.")
    return files[-1]


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read a results file and check the keys of its rows."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    for number, row in enumerate(rows, 1):
        if tuple(row) != KEYS:
            raise ValueError(f"Row {number} of {path.name} has the keys {', '.join(row)}; needed: {', '.join(KEYS)}.")
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        names = ("set", "method", "side_information", "metric", "blurred", "value", "published", "target")
        cells = ["" if row[name] is None else str(row[name]) for name in names]
        lines.append(f"| {' | '.join([*cells, met])} |".replace("|  |", "| |").replace("|  |", "| |"))
    for line in lines:
        if len(line) > MOST_CHARACTERS:
            raise ValueError(f"This row has more than {MOST_CHARACTERS} characters; shorten its words: {line}")
    return "\n".join(lines)


def updated(page: str, rows: list[dict[str, Any]]) -> str:
    """Return the page with the table between the two markers replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page needs the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="Change nothing; exit 1 when the table is out of date.")
    check = parser.parse_args().check
    try:
        source = newest()
        old = PAGE.read_text(encoding="utf-8")
        new = updated(old, read_results(source))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if check and new != old:
        print(f"{PAGE.name} is out of date with {source.name}; run: python benchmarks/make_tables.py", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
