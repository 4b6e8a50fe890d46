"""
The command line: `inngest-core`, and the same subcommands under `manage.py` and `flask`.

An adapter builds the commands around its own client:

    group = inngest_core.cli.build(client, name="inngest")

client: an Inngest, or what returns one when a command first needs it. Where it is given, it
stands in the place of every argument `MODULE:CLIENT`, which then does not exist, and its
settings are where origin and keys come from; else the command line and the environment say.
Subcommands come from here and from the client's plugins, and are not made before they are
asked for: building the group costs the import of click.

Flask: the group is a click command as any other, `app.cli.add_command(build(lambda: client))`.

Django: a BaseCommand hands its words over, takes the group's status as its own, and is told
what went wrong by click's exceptions:

    try:
        status = group.main(words, prog_name="manage.py inngest", standalone_mode=False)
    except click.ClickException as error:
        raise CommandError(error.format_message(), returncode=error.exit_code) from error
    if status:
        sys.exit(status)

A subcommand of a plugin gets at the client with `@pass_subject`, and the first argument of its
function is then the Subject. A command of the class `Command` may name a client itself, by
`@client_option` or `@client_argument()`; where one is given, that parameter is gone.

The status: 0 done, 1 the work failed, 2 the command line or a setting is wrong.
"""

from .group import Commands, build
from .main import main
from .subject import Command, Subject, client_argument, client_option, pass_subject

__all__ = [
    "Command",
    "Commands",
    "Subject",
    "build",
    "client_argument",
    "client_option",
    "main",
    "pass_subject",
]
