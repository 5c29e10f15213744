"""A preset sets what is not given; a given option wins, and the log says so."""

import pytest

from mmfer.utils import presets
from mmfer.utils.presets import with_preset

PRESETS = dict(
    default=dict(reduction='mean', model=dict(size=3)),
    paper=dict(reduction='sum', model=dict(size=None, edge=0.0)),
)


@pytest.fixture
def logged(monkeypatch):
    lines = []

    class Logger:
        warning = staticmethod(lines.append)

    monkeypatch.setattr(presets.MMLogger, 'get_current_instance', lambda: Logger)
    return lines


def test_a_preset_sets_what_is_not_given(logged):
    given = dict(reduction=None, model=dict(other=1), margin=2.0)
    assert with_preset('A', PRESETS, 'paper', given) == dict(
        reduction='sum', model=dict(size=None, edge=0.0, other=1), margin=2.0
    )
    assert not logged and PRESETS['paper']['model'] == dict(size=None, edge=0.0)


def test_a_given_option_wins_and_is_named(logged):
    given = dict(reduction='mean', model=dict(edge=0.5))
    used = with_preset(dict, PRESETS, 'paper', given)
    assert used == dict(reduction='mean', model=dict(size=None, edge=0.5))
    (line,) = logged
    assert line == (
        "dict: preset='paper' is changed by given options: reduction='mean' instead "
        "of 'sum'; model.edge=0.5 instead of 0.0."
    )


def test_other_options_stay_as_they_are(logged):
    """Also marks for a later merge, as in configs."""
    base = dict(optimizer=dict(_delete_=True, lr=1))
    assert with_preset('A', PRESETS, 'paper', dict(base=base))['base'] is base
    assert not logged


def test_none_may_be_a_value(logged):
    given = dict(model=None)
    assert with_preset('A', PRESETS, 'paper', given)['model'] is not None
    assert (
        with_preset('A', PRESETS, 'paper', given, none_is_given=True)['model'] is None
    )
    assert 'model=None instead of' in logged[0]


def test_the_value_of_the_preset_may_be_given(logged):
    with_preset('A', PRESETS, 'paper', dict(reduction='sum'))
    with_preset('A', PRESETS, 'default', dict(reduction='sum'))
    assert not logged


def test_unknown_preset():
    with pytest.raises(ValueError, match="A: preset must be 'default' or 'paper'"):
        with_preset('A', PRESETS, 'official', {})
