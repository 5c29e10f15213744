"""The garbage collector pauses, and goes on as it was."""

import gc
import weakref

import pytest

from mmfer.utils.collector import collector_paused, exempt_imports


@pytest.fixture
def collector():
    """Nothing is exempt inside the test; afterwards everything is as before."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    yield
    gc.enable()
    gc.unfreeze()
    if frozen:
        gc.freeze()


class Cycle:
    """Garbage that only the collector finds."""

    def __init__(self):
        self.me = self


@pytest.mark.parametrize('enabled', [True, False])
def test_pause(collector, enabled):
    gc.enable() if enabled else gc.disable()
    with pytest.raises(KeyError), collector_paused():
        assert not gc.isenabled()
        garbage = weakref.ref(Cycle())
        raise KeyError
    assert gc.isenabled() == enabled
    assert gc.get_freeze_count() == 0
    # What was made meanwhile is old, but not exempt.
    gc.collect(1)
    assert (garbage() is not None) == enabled
    gc.collect()
    assert garbage() is None


def test_pause_leaves_what_others_exempt(collector):
    gc.freeze()
    number = gc.get_freeze_count()
    with collector_paused():
        pass
    assert gc.get_freeze_count() == pytest.approx(number, abs=20)


def test_imports_are_exempt_once(collector):
    exempt_imports()
    number = gc.get_freeze_count()
    assert number > 10_000
    garbage = weakref.ref(Cycle())
    # A second call would keep the garbage of the first run for ever.
    exempt_imports()
    assert gc.get_freeze_count() <= number
    gc.collect()
    assert garbage() is None
