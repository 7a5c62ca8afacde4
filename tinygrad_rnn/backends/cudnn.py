"""NVIDIA's library for CUDA devices. As in PyTorch without such a device, its switches can be set and steer nothing.

What scripts want of them is given in any case: with the same seed every run is the same.
"""

benchmark = False
deterministic = False
enabled = True


def is_available() -> bool:
    """False: there is no CUDA device."""
    return False
