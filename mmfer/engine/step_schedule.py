"""Learning rates that change at given epochs, for some parameters at others."""

from bisect import bisect_right
from typing import Any, Dict, List, Sequence, Tuple

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from mmfer.registry import PARAM_SCHEDULERS
from mmfer.utils.checks import choices, in_range, invalid, is_whole

Steps = Sequence[Tuple[int, float]]


@PARAM_SCHEDULERS.register_module()
class GroupStepLR(LRSchedulerMixin, _ParamScheduler):
    """Learning rates from a table of epochs, one table for each kind of parameter.

    The config names the kinds: ``custom_keys={'head': dict(schedule='head')}`` in
    ``paramwise_cfg`` of the optimizer wrapper puts ``schedule`` into the groups of
    all parameters with ``head`` in their names.

    Args:
        optimizer (OptimWrapper | Optimizer): The optimizer.
        steps (dict[str, Sequence[tuple[int, float]]]): For each kind pairs of the epoch
            from which on a factor applies, ascending from 0, and the factor of the
            group's initial learning rate. ``'default'`` is that of all other
            parameters.
        **kwargs: ``begin``, ``end``, ``by_epoch``, ``last_step`` and ``verbose`` of
            mmengine's schedulers.

    Raises:
        ValueError: A table is missing or out of order.
    """

    def __init__(self, optimizer: Any, steps: Dict[str, Steps], **kwargs: Any):
        if not isinstance(steps, dict) or 'default' not in steps:
            raise invalid(self, 'steps', steps, "a dict with 'default'")
        for kind, table in steps.items():
            pairs = table if isinstance(table, (list, tuple)) else [None]
            if not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
                raise invalid(
                    self, f'steps[{kind!r}]', table, 'a list of pairs (epoch, factor)'
                )
            epochs = [epoch for epoch, _ in table]
            if (
                epochs[:1] != [0]
                or not all(map(is_whole, epochs))
                or epochs != sorted(set(epochs))
            ):
                raise invalid(
                    self, f'the epochs of steps[{kind!r}]', epochs, 'ascending from 0'
                )
            for _, factor in table:
                in_range(self, f'a factor of steps[{kind!r}]', factor, 0)
        self.steps = {kind: list(table) for kind, table in steps.items()}
        super().__init__(optimizer, **kwargs)

    def _get_value(self) -> List[float]:
        """Return the learning rate of each group."""
        rates = []
        for base, group in zip(self.base_values, self.optimizer.param_groups):
            kind = choices(
                self, 'schedule', group.get('schedule', 'default'), self.steps
            )
            table = self.steps[kind]
            place = bisect_right([epoch for epoch, _ in table], self.last_step)
            rates.append(base * table[place - 1][1])
        return rates
