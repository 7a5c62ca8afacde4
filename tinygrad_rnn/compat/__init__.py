"""Compatibility: spellings of old PyTorch, and what scripts ask about CUDA and the libraries under PyTorch.

It lies above everything else; `tinygrad_rnn/__init__.py` alone imports it. PyTorch's paths to it work:

>>> import tinygrad_rnn.cuda, tinygrad_rnn.backends.cudnn as cudnn
>>> from tinygrad_rnn.autograd import Variable
>>> tinygrad_rnn.cuda.is_available(), cudnn.is_available()
(False, False)
"""

import sys

from .. import autograd
from . import backends, cuda, legacy
from .backends import cudnn, mps

ROOT = __name__.rpartition(".")[0]
PATHS = {"cuda": cuda, "backends": backends, "backends.cudnn": cudnn, "backends.mps": mps}
sys.modules.update({f"{ROOT}.{path}": module for path, module in PATHS.items()})
autograd.Variable = legacy.Variable

__all__ = ["backends", "cuda", "legacy"]
