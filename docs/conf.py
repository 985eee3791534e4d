"""Configure Sphinx (`make docs`). Tables of settings are generated from the settings classes."""

import warnings

from napari_genprior import settings
from napari_genprior.core.version import __version__
from napari_genprior.methods.registry import METHODS

project = "napari-genprior"
author = "The napari-genprior developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
html_theme = "furo"
exclude_patterns = ["_build"]
autosummary_generate = False
autodoc_typehints = "none"  # types and shapes stand in the docstrings
autodoc_member_order = "bysource"
maximum_signature_line_length = 100
napoleon_google_docstring = False
napoleon_use_rtype = False
warnings.filterwarnings("ignore", category=DeprecationWarning, module="napari_genprior")  # autodoc reads all properties


def settings_table(name: str) -> str:
    """Make the Markdown table of a method or settings class: name, default, unit or range, and meaning."""
    model = METHODS[name].settings if name in METHODS else getattr(settings, name)
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        unit = f" {extra['unit']}" if "unit" in extra else ""
        source = f" ({extra['source']})" if "source" in extra else ""
        text = f"{field.description or field.title}{source}".replace("|", "\\|")
        rows.append(f"| `{name}` | `{field.get_default()!r}`{unit} | {text} |")
    return "\n".join(rows)


def fill_in(_app, _name, content) -> None:
    """Put the tables where a page says ``{{settings METHOD}}`` or ``{{settings CLASS}}``."""
    for name in [*METHODS, *settings.__all__]:
        content[0] = content[0].replace(f"{{{{settings {name}}}}}", settings_table(name))


def setup(app) -> None:
    app.connect("source-read", fill_in)
