"""The one exception that motif raises for a user's mistake; anything else that escapes is our bug."""


class MotifError(ValueError):
    """Says what was found, what was expected and what to do, in one or two sentences."""


class MotifWarning(UserWarning):
    """Something in the input was odd and was read in the way that the message says."""


class Stopped(MotifError):
    """Long work was interrupted; the message says what was kept and how to go on."""
