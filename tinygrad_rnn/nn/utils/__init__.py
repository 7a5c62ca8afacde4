"""Helpers around modules: gradient clipping, parameters as a vector, ragged batches, decoding."""

from . import rnn
from .clip_grad import clip_grad_norm_, clip_grad_value_
from .convert_parameters import parameters_to_vector, vector_to_parameters
from .decode import ctc_beam_search, ctc_greedy_decode
from .error_rates import edit_distance, error_rate

clip_grad_norm = clip_grad_norm_  # its name before PyTorch 0.4

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "ctc_beam_search",
    "ctc_greedy_decode",
    "edit_distance",
    "error_rate",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]
