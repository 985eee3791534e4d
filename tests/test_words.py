"""The words of the project are those of the field: words that only its first authors used do not come back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = (".py", ".pyi", ".md", ".yaml", ".toml", ".json")
PLACES = ("src", "docs", "README.md", "CONTRIBUTING.md", "napari.yaml", "pyproject.toml")

# word -> what to say instead
WORDS = {
    r"pictures?": "image",
    r"wish(es)?": "request, settings",
    r"rivals?": "candidate",
    r"foretells?|foretold": "held-out error",
    r"untold": "masked, saturated",
    r"sought": "estimated",
    r"goes round": "is periodic",
    r"set[_ -]aside": "rejected",
    r"papers? 00[0-4]": "Asim 2020, Asim 2018, Ren 2020, Kotera 2021",
    r"clues?": "feature",
    r"held to": "constrained to, regularized by",
    r"budget": "time limit",
}

# (file, word): names of the first edition that still work, and warn; names of data files
ALLOWED = {
    ("src/napari_genprior/core/result.py", "rivals"),
    ("src/napari_genprior/pipeline/deprecated.py", "budget"),
    ("src/napari_genprior/cli/arguments.py", "budget"),
    ("src/napari_genprior/training/photos.py", "picture"),
}


def files() -> list[Path]:
    paths = [path for place in PLACES for path in [ROOT / place, *(ROOT / place).rglob("*")]]
    return [path for path in paths if path.is_file() and path.suffix in SUFFIXES and "_build" not in path.parts]


def found(text: str, word: str) -> list[tuple[int, str]]:
    """Line numbers and matches of whole words, also as parts of names (``wish_frame``, ``WISH``)."""
    across_lines = word.replace(" ", r"\s+")
    pattern = re.compile(rf"(?<![A-Za-z])(?:{across_lines})(?![A-Za-z])", re.IGNORECASE)
    return [(text.count("\n", 0, match.start()) + 1, match[0].lower()) for match in pattern.finditer(text)]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_not_used(word):
    places = []
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        for line, match in found(path.read_text(encoding="utf-8"), word):
            if (name, match) not in ALLOWED:
                places.append(f"{name}:{line}: {match}")
    assert not places, f"say: {WORDS[word]}\n" + "\n".join(places)


def test_a_name_is_allowed_only_where_it_is_used():
    for name, word in ALLOWED:
        assert found((ROOT / name).read_text(encoding="utf-8"), word), f"{word} is no longer in {name}"


def test_words_are_recognized_in_sentences_and_names():
    assert found("the Pictures of\nit", r"pictures?") == [(1, "pictures")]
    assert found("BUDGET_S, time_budget", "budget") == [(1, "budget"), (1, "budget")]
    assert found("it goes\nround", "goes round")
    assert not found("besought", "sought")
