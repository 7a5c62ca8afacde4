"""What scripts ask of the libraries under PyTorch, or set in them. Here there is only NumPy."""

from . import cudnn, mps

__all__ = ["cudnn", "mps"]
