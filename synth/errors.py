"""What can be wrong with what is given to the synthesiser."""


class SynthError(ValueError):
    """Images, masks, recipes or folders that flaws cannot be made from; the message says what, and what to do."""
