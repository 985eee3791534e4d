"""Write a command as it can be typed again, for records of how a result was made."""

from __future__ import annotations

import shlex
from typing import Any

import click


def command_text(context: click.Context, without: tuple[str, ...] = ()) -> str:
    """Return the command of ``context`` with the arguments and options that were given.

    Parameters
    ----------
    context : click.Context
    without : tuple of str
        Beginnings of the names of parameters that are left out.
    """
    words = [context.command_path]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if given and not name.startswith(without):
            words += _words(parameter, context.params[name])
    return " ".join(words)


def _words(parameter: click.Parameter, value: Any) -> list[str]:
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [max(parameter.opts if value else parameter.secondary_opts, key=len)]
    flag = [max(parameter.opts, key=len)] if isinstance(parameter, click.Option) else []
    values = value if parameter.multiple else [value]
    return [word for each in values for word in (*flag, *_quoted(each))]


def _quoted(value: Any) -> list[str]:
    return [shlex.quote(str(part)) for part in (value if isinstance(value, tuple) else (value,))]
