"""The one exception that a user may see: a sentence saying what is wrong and what to do."""


class InputError(ValueError):
    """Bad input: its text is one sentence that names the input, the fault and the remedy."""
