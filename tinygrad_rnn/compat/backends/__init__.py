"""Switches of the libraries under PyTorch, which scripts ask for or set. Here there is only NumPy."""

from . import cudnn, mps

__all__ = ["cudnn", "mps"]
