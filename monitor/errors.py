"""The error that is the caller's to mend; light to import, because every command catches it."""


class WrongCall(Exception):
    """The call or the config is wrong: one line, naming file, key and what was expected; exit status 2."""
