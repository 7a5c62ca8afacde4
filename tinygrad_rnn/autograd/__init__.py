"""PyTorch's autograd on the engine: backward and grad, grad modes, anomaly detection, hooks, Function."""

from typing import Any

from . import functional
from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .gradients import backward, grad
from .gradmode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

Variable: Any  # PyTorch's wrapper from before 0.4, which compat/ puts here

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
