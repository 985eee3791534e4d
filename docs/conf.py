"""Sphinx: `make docs`. Tables of settings are written from the settings classes, so that they cannot be out of date."""

from napari_genprior.core.version import __version__
from napari_genprior.methods.registry import METHODS

project = "napari-genprior"
author = "The napari-genprior developers"
release = __version__
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
exclude_patterns = ["_build"]


def settings_table(method: str) -> str:
    """Settings of a method in Markdown: name, default, unit or range, and what it does."""
    rows = ["| setting | default | what |", "|---|---|---|"]
    for name, field in METHODS[method].settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        unit = f" {extra['unit']}" if "unit" in extra else ""
        source = f" ({extra['source']})" if "source" in extra else ""
        text = f"{field.description or field.title}{source}".replace("|", "\\|")
        rows.append(f"| `{name}` | `{field.get_default()!r}`{unit} | {text} |")
    return "\n".join(rows)


def fill_in(_app, _name, content) -> None:
    """Put the tables where a page says ``{{settings METHOD}}``."""
    for method in METHODS:
        content[0] = content[0].replace(f"{{{{settings {method}}}}}", settings_table(method))


def setup(app) -> None:
    app.connect("source-read", fill_in)
