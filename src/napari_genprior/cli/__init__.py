"""The command line: ``genprior simulate | deblur | batch | kernel | train | models | demo | bench | study | doctor``.

Exit codes: 0 done, 2 unusable input or arguments (one line on standard error), 1 a fault of ours, 130 interrupted.
"""

from __future__ import annotations

import logging

import click

from ..core.errors import GenPriorError
from . import batch, benchmarks, deblur, diagnostics, kernels, priors, simulate, studies  # noqa: F401 (they add commands)
from .base import genprior, report_error
from .wording import in_options


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        # click hands back the code of an Exit, and None where a command ran through
        return genprior.main(args=arguments, prog_name="genprior", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        return report_error(error.format_message(), 2)
    except GenPriorError as error:
        return report_error(in_options(str(error)), 2)
    except (KeyboardInterrupt, click.Abort):
        return report_error("interrupted; nothing was written, or whole files only.", 130)
    except Exception as error:
        logging.getLogger(__name__).info("details", exc_info=True)
        return report_error(
            f"this is a fault of ours: {type(error).__name__}: {error} (run with --debug for details).", 1
        )
