"""What a training script needs beside the mathematics: `utils.data`."""

from . import data

__all__ = ["data"]
