"""Figures of an epoch, which hooks report and ``history.json`` records."""

from typing import Any, Dict

from mmengine.runner import Runner

FIGURES_KEY = 'epoch_figures'
"""Name in the message hub."""


def report_figures(runner: Runner, figures: Dict[str, Any]) -> None:
    """Add figures of the epoch that has ended to those of other hooks.

    Call it in ``after_train_epoch``: ``SummaryHook`` then writes the figures to
    ``history.json``, and those of the last epoch to ``summary.json``.

    Args:
        runner (Runner): Runner that trains.
        figures (dict): Values that JSON can hold, by name.
    """
    earlier = runner.message_hub.get_info(FIGURES_KEY) or {}
    runner.message_hub.update_info(FIGURES_KEY, {**earlier, **figures})
