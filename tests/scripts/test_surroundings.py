"""Around the mathematics: devices, NumPy's random numbers, copies, and what would need a pickle."""

import copy
import io
import pickle

import numpy as np
import pytest

import tinygrad_rnn as torch
from tinygrad_rnn import nn


def test_scripts_fall_back_to_the_processor():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if torch.backends.mps.is_available():
        device = torch.device("mps")
    assert str(device) == "cpu" and device.type == "cpu" and device == torch.device("cpu")
    net = nn.LSTM(2, 3).to(device)
    x = torch.zeros(4, 1, 2, device=device).to(device, non_blocking=True)
    output, (h, _) = net(x, (torch.zeros(1, 1, 3).to("cpu"), torch.zeros(1, 1, 3).cpu()))
    assert output.device == device and h.device.type == "cpu" and not x.is_cuda
    assert torch.cuda.device_count() == 0


def test_a_device_is_a_key_and_prints_as_pytorchs():
    device = torch.device("cpu")
    assert {device: "here"}[torch.device("cpu")] == "here" and device != "cpu"
    assert (str(device), repr(device)) == ("cpu", "device(type='cpu')")
    for first in (torch.device("cpu:0"), torch.device("cpu", 0)):
        assert (str(first), repr(first)) == ("cpu:0", "device(type='cpu', index=0)") and first != device


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.device("cuda"),
        lambda: torch.zeros(2).cuda(),
        lambda: torch.zeros(2).to("cuda:0"),
        lambda: torch.zeros(2, device="cuda"),
        lambda: nn.Linear(1, 1).cuda(),
        lambda: nn.Linear(1, 1).to("mps"),
    ],
)
def test_other_devices_are_refused(ask):
    with pytest.raises(NotImplementedError, match="cpu"):
        ask()


def test_switches_for_repeatable_runs_can_be_set():
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, cudnn.enabled
    assert before == (False, False, True) and not cudnn.is_available() and not torch.backends.mps.is_built()
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        runs = []
        for _ in range(2):
            torch.manual_seed(3)
            torch.cuda.manual_seed_all(3)
            runs.append(torch.rand(4).tolist())
        assert runs[0] == runs[1]
    finally:
        cudnn.benchmark, cudnn.deterministic, cudnn.enabled = before


def everything_random():
    x = torch.rand(3, 4) + torch.randn(3, 4) + torch.normal(torch.zeros(3, 4), 1.0)
    x = x + torch.rand_like(x).normal_().uniform_().bernoulli_().random_(5)
    torch.bernoulli(torch.full((3,), 0.5))
    picks = torch.multinomial(torch.ones(2, 5), 3)
    order = torch.randperm(9)
    integers = torch.randint(0, 10, (4,))
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    lstm = nn.LSTM(4, 2, 2, dropout=0.5)
    nn.init.orthogonal_(net[0].weight)
    nn.init.trunc_normal_(net[0].bias)
    data = torch.utils.data.TensorDataset(x, torch.arange(3))
    train, _ = torch.utils.data.random_split(data, [2, 1])
    batches = [b.sum().item() for b, _ in torch.utils.data.DataLoader(train, shuffle=True)]
    output = lstm(net(x).unsqueeze(1))[0]
    gumbel = nn.functional.gumbel_softmax(x)
    return [batches, *(t.tolist() for t in (x, picks, order, integers, output, gumbel))]


def test_numpys_global_random_state_is_neither_read_nor_written():
    before = np.random.get_state()
    torch.manual_seed(0)
    first = everything_random()
    after = np.random.get_state()
    assert before[0] == after[0] and before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])
    try:
        np.random.seed(6)
        torch.manual_seed(0)
        assert everything_random() == first
    finally:
        np.random.set_state(before)
    torch.manual_seed(1)
    assert everything_random() != first


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_module_is_pickled(protocol):
    lstm = nn.LSTM(1, 2)
    twin = pickle.loads(pickle.dumps(lstm, protocol))
    x = torch.randn(3, 1)
    assert torch.equal(twin(x)[0], lstm(x)[0])


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"epoch": 3, "m": m}, lambda m: [3, m]])
def test_a_whole_module_is_loaded_only_by_who_trusts_the_file(wrap):
    file = io.BytesIO()
    torch.save(wrap(nn.Linear(1, 2)), file)
    file.seek(0)
    with pytest.raises(ValueError, match=r"unpickling can run any program; .* weights_only=False"):
        torch.load(file)
    file.seek(0)
    assert str(torch.load(file, weights_only=False)) == str(wrap(nn.Linear(1, 2)))


def test_a_pickle_is_not_loaded():
    with pytest.raises(ValueError, match="this is a pickle"):
        torch.load(io.BytesIO(pickle.dumps({"weight": 1})))


def test_checkpoints_are_loaded_onto_the_processor_in_every_spelling():
    file = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, file)

    def load(map_location):
        file.seek(0)
        return torch.load(file, map_location=map_location)["weight"].tolist()

    for where in (None, "cpu", torch.device("cpu"), {"cuda:0": "cpu"}, {"cpu": "cpu"}):
        assert load(where) == [1, 1]
    assert load(lambda storage, location: storage) == load(lambda storage, location: None) == [1, 1]
    for elsewhere in ("cuda", {"cpu": "cuda:1"}, lambda storage, location: storage.cuda(1)):
        with pytest.raises((NotImplementedError, AttributeError), match=r"map_location|cuda"):
            load(elsewhere)


def test_the_best_model_is_kept_by_deepcopy_or_by_its_state():
    net = nn.Sequential(nn.Embedding(5, 3), nn.GRU(3, 2))
    net[1](net[0](torch.tensor([[1], [2]])))[0].sum().backward()
    best, state = copy.deepcopy(net), copy.deepcopy(net.state_dict())
    weights = {name: p.tolist() for name, p in net.named_parameters()}
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    assert {name: p.tolist() for name, p in best.named_parameters()} == weights
    net.load_state_dict(state)
    assert {name: p.tolist() for name, p in net.named_parameters()} == weights
    assert net[0].weight.data.tolist() == best[0].weight.tolist() and net[0].weight is not best[0].weight


def test_a_result_with_a_graph_cannot_be_copied_whole():
    h = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"use detach\(\) or clone\(\)"):
        copy.deepcopy(h)
    assert copy.deepcopy(h.detach()).tolist() == [2, 2]


def test_layers_know_their_names():
    assert [nn.LSTM(1, 1).mode, nn.GRU(1, 1).mode, nn.RNN(1, 1).mode] == ["LSTM", "GRU", "RNN_TANH"]
    assert nn.RNN(1, 1, nonlinearity="relu").mode == "RNN_RELU"


def test_annotations_of_types():
    def zeros(n: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(n, dtype=dtype)

    assert isinstance(zeros(2).dtype, torch.dtype) and isinstance(torch.long, torch.dtype)
    assert isinstance(zeros(2).size(), torch.Size) and isinstance(zeros(2).device, torch.device)
