"""Mistakes a user can make; the command line prints them as one line, without a traceback."""


class UserError(Exception):
    """Something the user gave is wrong or missing; the message says what, and what to do."""


class DataError(UserError):
    """Images, masks, folders or tables that cannot be used."""


class ConfigError(UserError):
    """A configuration with an unknown key or a value out of range."""


class BundleError(UserError):
    """A bundle that is damaged, incomplete or of another format."""


class ExportError(UserError):
    """A model that cannot be exported, or run where it was exported to."""


class PromiseError(UserError):
    """A promise that the data cannot carry.

    Attributes:
        needed: Number of independent groups that the promise takes; None where no number of them would carry it.
        available: Number of independent groups at hand.
    """

    def __init__(self, message: str, needed: int | None, available: int) -> None:
        super().__init__(message)
        self.needed = needed
        self.available = available
