"""Objects that belong to one process."""

import copy
import pickle

import pytest

from snowplow_tracker import AsyncEmitter, Emitter, Tracker


class Sender(Emitter):
    """An emitter of a user's."""

    def __init__(self):
        super().__init__("http://localhost:1")
        self.held = []

    def input(self, payload):
        self.held.append(payload)


class WithState(Sender):
    def __getstate__(self):
        return {"held": []}


class WithReduce(Sender):
    def __reduce__(self):
        return WithReduce, ()


@pytest.mark.parametrize("make", [Sender, lambda: Tracker("ns", Sender())])
@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_it_says_what_to_do_instead(make, duplicate):
    """A pickle or a deep copy of an emitter, or of a tracker that has one, is refused with a way out."""
    with pytest.raises(
        TypeError, match=r"^Sender cannot be pickled .* create a tracker in each process"
    ):
        duplicate(make())


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_emitters_say_it(kind, duplicate):
    """The emitters themselves refuse, with the same way out."""
    with pytest.raises(TypeError, match=f"^{kind.__name__} cannot be pickled"):
        duplicate(kind("http://localhost:1"))


@pytest.mark.parametrize("kind", [WithState, WithReduce])
@pytest.mark.parametrize("duplicate", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy])  # noqa: S301 - our own
def test_a_subclass_may_know_how(kind, duplicate):
    """A class of a user that says how it is pickled can be, as in 1.1.0."""
    sender = kind()
    sender.input({})
    assert duplicate(sender).held == []


def test_a_shallow_copy_shares():
    """`copy.copy` gives another object with the same attributes, as in 1.1.0."""
    sender = Sender()
    twin = copy.copy(sender)
    assert twin is not sender
    assert twin.held is sender.held
