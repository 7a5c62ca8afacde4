"""Hand a recurrent cell of your own to every law: `python examples/check_your_cell.py`.

The GRU below has its backward pass written by hand, as tutorials do, and with a mistake that was
published in one: the recurrent weight is not transposed on the way back. Its shapes are right, its
outputs are right, and it even learns a little. With `--right` the mistake is mended.

In a test of your own, one line is enough:

    def test_my_cell():
        check_cell(MyCell)
"""

import sys

import numpy as np

from tinygrad_rnn import nn, zeros
from tinygrad_rnn.autograd import Function
from tinygrad_rnn.testing import LawBroken, check_cell


def gates(x, h, W, U, b):
    """r, z and n of a GRU, and U_n h: the candidate's share of the state, before it is reset."""
    a_r, a_z, a_n = (x @ W.t() + b).chunk(3, -1)
    u_r, u_z, u_n = (h @ U.t()).chunk(3, -1)
    r = (a_r + u_r).sigmoid()
    z = (a_z + u_z).sigmoid()
    n = (a_n + r * u_n).tanh()
    return r, z, n, u_n


class GRUStep(Function):
    """h' from x (B, D), h (B, H), W (3H, D), U (3H, H), b (3H)."""

    @staticmethod
    def forward(ctx, x, h, W, U, b):
        ctx.save_for_backward(x, h, W, U, b)
        _, z, n, _ = gates(x, h, W, U, b)
        return (1 - z) * n + z * h

    @classmethod
    def backward(cls, ctx, g):
        x, h, W, U, b = ctx.saved_tensors
        r, z, n, u_n = gates(x, h, W, U, b)
        d_n = g * (1 - z) * (1 - n * n)
        d_z = g * (h - n) * z * (1 - z)
        d_r = d_n * u_n * r * (1 - r)
        d_a = np.concatenate([d_r, d_z, d_n], -1)
        d_u = np.concatenate([d_r, d_z, d_n * r], -1)
        d_h = g * z + cls.through(U, d_u)
        return d_a @ W, d_h, d_a.t() @ x, d_u.t() @ h, d_a.sum(0)

    @staticmethod
    def through(U, d_u):
        """The mistake: d_u U is wanted, and each gate's share meets the transpose of its block of U."""
        return sum(d @ block.t() for d, block in zip(d_u.chunk(3, -1), U.chunk(3, 0)))


class MendedStep(GRUStep):
    """The same, with the recurrent weight the right way round."""

    @staticmethod
    def through(U, d_u):
        return d_u @ U


class TutorialGRU(nn.Cell):
    """A GRU around a step with a backward of its own."""

    step_function = GRUStep

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.W = nn.Parameter(zeros(3 * hidden_size, input_size).uniform_(-0.5, 0.5))
        self.U = nn.Parameter(zeros(3 * hidden_size, hidden_size).uniform_(-0.5, 0.5))
        self.b = nn.Parameter(zeros(3 * hidden_size).uniform_(-0.5, 0.5))

    def step(self, x, h):
        """h'"""
        return self.step_function.apply(x, h, self.W, self.U, self.b)


class MendedGRU(TutorialGRU):
    """The same, mended."""

    step_function = MendedStep


def main(arguments):
    """Check one of the two; 1 if it breaks a law."""
    try:
        print(check_cell(MendedGRU if "--right" in arguments else TutorialGRU))
    except LawBroken as broken:
        print(broken)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
