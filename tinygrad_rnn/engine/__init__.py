"""The engine: reverse-mode automatic differentiation of NumPy code, to be read in an evening.

It needs calculus and NumPy, and imports nothing else. Read the files in this order:

    tensor.py        an array, the node that made it, its gradient
    primitive.py     a NumPy function with its derivative rules; how its use is recorded in a graph
    derivatives.py   every primitive there is, a row each
    accumulate.py    sums of vector-Jacobian products
    backward.py      the pass from results back to leaves

PyTorch's surface lies on top: autograd/ (grad, hooks, modes), ops/ (arguments, dtypes, aliases), nn/.
"""
