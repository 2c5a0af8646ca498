"""Encode cameras' frames, send the machine layers to a server, keep the enhancement layers in a store.

One camera by options, or all cameras of a site by a file (--config).

Exit codes:

0: every frame was acknowledged or dropped by the rules; also after SIGTERM or Ctrl-C.

1: an error that names its remedy.

2: wrong options, or a wrong site file.

3: the source could not be opened or read; the cameras of a site file are begun again instead.

4: the source ended, but the server did not acknowledge all frames.
"""

import typer

from edge.command.check import check
from edge.command.run import run
from edge.command.schema import schema

app = typer.Typer(add_completion=False)
app.callback(invoke_without_command=True, help=__doc__)(run)
app.command()(check)
app.command()(schema)
