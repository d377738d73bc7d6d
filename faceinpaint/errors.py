"""The one exception that a user may see: a sentence saying what is wrong and what to do; and others quoted in it."""


def reason_of(error: Exception) -> str:
    """Another package's exception as a few words that fit into a sentence."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".").replace(". ", ", ")


class InputError(ValueError):
    """Bad input: its text is one sentence that names the input, the fault and the remedy."""
