"""Apple's graphics processors, which are not used."""


def is_available() -> bool:
    """False: there is only the processor."""
    return False


def is_built() -> bool:
    """False: there is only the processor."""
    return False
