"""Answers to what scripts ask about CUDA before they fall back to the processor: there is none."""

from __future__ import annotations


def is_available() -> bool:
    """False: there is only the processor."""
    return False


def device_count() -> int:
    """0: there is only the processor."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing to seed: without a CUDA device there is no CUDA generator (as in PyTorch's CPU build)."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Nothing to empty."""
