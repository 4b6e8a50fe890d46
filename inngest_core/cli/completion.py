"""`completion`: what a shell needs to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_COMMAND = "inngest-core"
_VARIABLE = "_INNGEST_CORE_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """
    Print what a shell needs to complete them.

    bash: eval "$(inngest-core completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc;
    fish: inngest-core completion fish > ~/.config/fish/completions/inngest-core.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click knows the three
    click.echo(kind(click.Command(_COMMAND), {}, _COMMAND, _VARIABLE).source())
