"""NVIDIA's library for CUDA devices: as in PyTorch without one, its switches can be set and steer nothing.

What scripts want of them is given anyway: with the same seed every run is the same.
"""

benchmark = False
deterministic = False
enabled = True


def is_available() -> bool:
    """False: there is no CUDA device."""
    return False
