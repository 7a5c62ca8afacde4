"""The switches: context managers, decorators, plain calls; nested, after errors, in threads."""

import threading

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinygrad_rnn.autograd import detect_anomaly, is_anomaly_enabled, set_detect_anomaly

x = tg.tensor(2.0, requires_grad=True)


def records():
    return (x * 1).requires_grad


def test_inside_no_grad_nothing_is_recorded():
    with no_grad():
        y = x * x
        assert not y.requires_grad and y.grad_fn is None and y.is_leaf
    assert (x * x).requires_grad


@pytest.mark.parametrize(
    "switch, on",
    [
        (no_grad, False),
        (enable_grad, True),
        (inference_mode, False),
        (lambda: inference_mode(False), True),
        (lambda: set_grad_enabled(False), False),
        (lambda: set_grad_enabled(True), True),
    ],
)
@pytest.mark.parametrize("outside", [True, False])
def test_contexts_and_decorators_set_and_restore(switch, on, outside):
    set_grad_enabled(outside)
    with switch():
        assert records() is on
    assert records() is outside
    decorated = switch()(records)
    assert records() is outside  # decorating alone changes nothing
    assert decorated() is on and records() is outside
    set_grad_enabled(True)


def test_no_grad_and_inference_mode_need_no_parentheses():
    for switch in (no_grad, inference_mode):

        @switch
        def inside():
            """What it says."""
            return records()

        assert inside() is False and records() and inside.__doc__ == "What it says."

    @enable_grad
    def recorded():
        return records()

    with no_grad():
        assert recorded() is True and not records()


def test_switches_nest():
    with no_grad():
        with enable_grad():
            with set_grad_enabled(False):
                assert not records()
            assert records()
            with no_grad():
                assert not records()
        assert not records()
    assert records()


def test_one_switch_may_be_entered_inside_itself_and_again():
    switch = no_grad()
    with switch:
        with switch:
            assert not records()
        assert not records()
    assert records()
    setting = set_grad_enabled(False)
    set_grad_enabled(True)
    for _ in range(2):
        with setting:
            assert not records()
        assert records()


def test_a_recursive_decorated_function():
    @no_grad()
    def depth(n):
        return n if n == 0 else depth(n - 1) + (not records())

    assert depth(5) == 5 and records()


@pytest.mark.parametrize("switch", [no_grad, detect_anomaly, lambda: set_grad_enabled(False)])
def test_an_error_inside_restores_too(switch):
    with pytest.raises(KeyError), switch():
        raise KeyError
    with pytest.raises(KeyError):
        switch()({}.__getitem__)(1)
    assert is_grad_enabled() and not is_anomaly_enabled()


def test_a_plain_call_stays():
    set_grad_enabled(False)
    assert not is_grad_enabled() and not records()
    set_grad_enabled(True)
    assert is_grad_enabled() and records()
    set_detect_anomaly(True)
    assert is_anomaly_enabled()
    set_detect_anomaly(False)
    assert not is_anomaly_enabled()
    with set_detect_anomaly(True):
        assert is_anomaly_enabled()
    assert not is_anomaly_enabled()


def test_a_generator_function_cannot_be_decorated():
    def numbers():
        yield 1

    for switch in (no_grad(), set_grad_enabled(False), inference_mode()):
        with pytest.raises(TypeError, match="numbers is a generator; use a with block inside it"):
            switch(numbers)
    assert is_grad_enabled()


def test_each_thread_has_its_own_switches():
    found = {}

    def other():
        found["at first"] = records()
        with no_grad():
            started.set()
            done.wait(10)
            found["inside"] = records()

    started, done = threading.Event(), threading.Event()
    with no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        assert started.wait(10)
        with enable_grad():
            assert records()
        done.set()
        thread.join()
    assert found == {"at first": True, "inside": False} and records()


def test_a_decorated_function_in_two_threads_restores_each_its_own():
    """One starts recording, the other does not; they are inside together, and leave in the wrong order."""
    inside, leave_first = threading.Barrier(2), threading.Event()
    found = {}

    @no_grad()
    def meet(name):
        inside.wait(10)
        if name == "off":
            assert leave_first.wait(10)

    def run(name):
        set_grad_enabled(name == "on")
        meet(name)
        found[name] = is_grad_enabled()
        leave_first.set()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("on", "off")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"on": True, "off": False}


def test_threads_that_go_backward_at_once_add_to_gradients_of_their_own():
    results = [None] * 4

    def work(k):
        w = tg.tensor([1.0, 2.0], requires_grad=True)
        for _ in range(50):
            (w * w * k).sum().backward()
        results[k] = w.grad.tolist()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[100.0 * k, 200.0 * k] for k in range(4)]


def test_a_result_made_under_no_grad_can_become_a_leaf():
    with no_grad():
        y = x * 3
    y.requires_grad_()
    (y * y).backward()
    assert y.grad.item() == 12 and x.grad is None
