"""``graphdsl explain``: a page on a kind of mistake."""
from __future__ import annotations

import sys
from typing import Optional

import click

from graphdsl.diagnostics import catalogue


@click.command('explain')
@click.argument('code', required=False)
def explain_command(code: Optional[str]) -> None:
    """Explains what CODE, such as G401, stands for, with a wrong and a right program; lists all codes without one."""
    if code is None:
        for known, title in catalogue.TITLES.items():
            click.echo(f'{known}  {title}')
        return
    if code.upper() not in catalogue.TITLES:
        raise click.BadParameter(f'there is no {code!r}; `graphdsl explain` lists all codes', param_hint='CODE')
    text = catalogue.page(code.upper())
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown
        Console().print(Markdown(text))
    else:
        click.echo(text, nl=False)
