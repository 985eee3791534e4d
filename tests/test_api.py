"""The public names and their signatures are those of the reviewed listing, ``tests/api.txt``.

Where a change is meant: ``python tests/test_api.py`` writes the listing anew; the diff is what a review looks at, and
what is removed or renamed belongs into the changelog.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import napari_genprior as gp
from napari_genprior.cli import genprior
from napari_genprior.methods.registry import METHODS
from napari_genprior.pipeline.plan import parse_request

LISTING = Path(__file__).with_name("api.txt")


def listing() -> Iterator[str]:
    """A line per public name."""
    yield "# napari_genprior"
    for name in sorted(set(gp.__all__) - {"__version__"}):
        yield from described(name, getattr(gp, name))
    yield f"deblur's arguments{signature(parse_request)}"
    yield "# methods and their settings"
    for name, method in METHODS.items():
        fields = ", ".join(f"{key}={field.get_default()!r}" for key, field in method.settings.model_fields.items())
        yield f"{name}: {fields}"
    yield "# commands"
    yield from commands("genprior", genprior)


def described(name: str, item: Any) -> Iterator[str]:
    if inspect.ismodule(item):
        for inner in sorted(item.__all__ if hasattr(item, "__all__") else public(item)):
            yield from described(f"{name}.{inner}", getattr(item, inner))
    elif dataclasses.is_dataclass(item):
        yield f"{name}({', '.join(field.name for field in dataclasses.fields(item))})"
        yield from (f"{name}.{method}" for method in sorted(vars(item)) if usable(item, method))
    elif inspect.isclass(item) and issubclass(item, BaseException):
        yield f"{name}({', '.join(base.__name__ for base in item.__bases__)})"
    elif callable(item):
        yield f"{name}{signature(item)}"
    else:
        yield name


def public(module: Any) -> list[str]:
    own = (name for name, item in vars(module).items() if getattr(item, "__module__", None) == module.__name__)
    return [name for name in own if not name.startswith("_")]


def usable(cls: type, name: str) -> bool:
    item = vars(cls)[name]
    callables = inspect.isfunction(item) or isinstance(item, property | classmethod | staticmethod)
    return callables and not name.startswith("_")


def signature(function: Any) -> str:
    """Names, kinds and defaults; types may be told more finely without breaking anyone."""
    parameters = [
        parameter.replace(annotation=inspect._empty) for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters))


def commands(name: str, command: click.Command) -> Iterator[str]:
    options = sorted(
        option for parameter in command.params for option in (parameter.opts if parameter.opts else [parameter.name])
    )
    yield " ".join([name, *options])
    for inner in sorted(set(getattr(command, "commands", {})) - {"bench"}):  # ours, not the users'
        yield from commands(f"{name} {inner}", command.commands[inner])


def test_nothing_public_changed_unseen():
    reviewed, now = LISTING.read_text(encoding="utf-8").splitlines(), list(listing())
    gone = [line for line in reviewed if line not in now]
    new = [line for line in now if line not in reviewed]
    assert (gone, new) == ([], []), "the public API changed; if that is meant: python tests/test_api.py, see its head"


def test_every_public_name_is_documented():
    for name in sorted(set(gp.__all__) - {"__version__"}):
        assert (getattr(gp, name).__doc__ or "").strip(), name


if __name__ == "__main__":
    LISTING.write_text("\n".join(listing()) + "\n", encoding="utf-8")
