"""The command line: ``motif <verb>``, the same verbs as in Python.

Nothing heavy is imported until a verb runs, so that ``--help`` answers at once. Results go to standard output, notes,
progress and errors to standard error; exit code 0 is success, 2 a mistake in what was asked or given, 130 Ctrl-C.
"""

import os
import re
import sys
import warnings

from cyclopts import App, CycloptsError

from .. import __version__
from ..errors import MotifError, MotifWarning, Stopped
from .capture import capture
from .corpus import curate
from .data import data
from .generate import change, crowd, demo, edit, fit, sample, vary
from .inspect import info, score, show
from .output import note

_FIELD = re.compile(r"(?<![\w/\\])Edit\.(?!json)(?=[a-z])")  # what Python calls a field of an edit

app = App(
    name="motif",
    help="One clip in, endless motion out: new takes of a motion clip in seconds, on any skeleton.",
    help_epilogue="Add --debug to any command to see where an error was raised.",
    version=__version__,
)
for verb in (vary, fit, sample, edit, crowd, change, show, info, score, curate, capture, demo):
    app.command(verb)
app.command(data)


def main() -> None:
    """Run the command line and exit."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    others = warnings.showwarning
    warnings.showwarning = lambda message, category, *rest, **named: (
        note(f"note: {message}") if issubclass(category, MotifWarning) else others(message, category, *rest, **named)
    )
    warnings.simplefilter("always", MotifWarning)
    try:
        app(arguments, exit_on_error=False)
    except CycloptsError:  # already explained by the parser
        sys.exit(2)
    except MotifError as error:
        if debug:
            raise
        note(f"motif: {_FIELD.sub('', str(error))}")
        sys.exit(130 if isinstance(error, Stopped) else 2)
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        note("stopped")
        sys.exit(130)
