"""Tables of values that a method keeps for each training sample.

ELR keeps a running average of the predictions of each sample, SOP a variable that
absorbs a wrong label. A method that derives from :class:`SampleTables` says which
tables it needs. ``SampleStateHook``, one of the default hooks, makes them before the
first step, stores them in every checkpoint, and loads them into a resumed run.

A table has one row for each ``sample_id`` of the training set, also for samples that
a cleaning dropped. It is no parameter and no buffer: an exported model does not have
it, and averaged weights (``EMAHook``) share it.
"""

from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from mmfer.datasets.batches import Samples, has_field, stack_field

from .gathering import interleave
from .protocols import FollowsTraining


class TrainingFacts(NamedTuple):
    """Facts of a run that a method may need before the first step.

    Attributes:
        num_samples (int): Number of samples in the full list N; each ``sample_id`` is
            smaller.
        max_epochs (int, optional): Epochs of the run. None for a run that is counted
            in iterations.
        seed (int): Seed of the run.
        max_steps (int, optional): Steps of the run. None if nobody counted them.
    """

    num_samples: int
    max_epochs: Optional[int] = None
    seed: int = 0
    max_steps: Optional[int] = None


def followers(model: nn.Module) -> Iterator[Tuple[str, Any]]:
    """Yield each part of a model that follows the training, with its path.

    Args:
        model (nn.Module): Any model, without a wrapper for DDP.
    """
    for path, module in model.named_modules():
        if isinstance(module, FollowsTraining):
            yield path, module


def require_sample_ids(owner: object, data_samples: Samples) -> Tensor:
    """Return the ``sample_id`` of each image of a batch, int64 (B, ).

    Args:
        owner (object): Part of the model that needs them; the message names it.
        data_samples (SampleBatch | list[DataSample]): Samples of the batch.

    Raises:
        ValueError: The samples have none.
    """
    if has_field(data_samples, 'sample_id'):
        return stack_field(data_samples, 'sample_id')
    raise ValueError(
        f'{type(owner).__name__} needs the sample_id of each image: end the training '
        "pipeline with dict(type='PackFERInputs'), and use a data set of mmfer."
    )


def require_epochs(
    owner: object,
    option: str,
    epoch: int,
    max_epochs: Optional[int],
    lack: str,
    without: str = '',
) -> None:
    """Raise unless a run is longer than an option of a head counts.

    Args:
        owner (object): Head with the option; the message names it.
        option (str): Name of the option.
        epoch (int): Its value: the epoch before which a part of the method rests.
        max_epochs (int, optional): See :class:`TrainingFacts`.
        lack (str): What a shorter run would lack, after 'so'.
        without (str): What None would mean, after 'to'. Defaults to '': the option
            cannot be None.

    Raises:
        ValueError: The run is too short, or counted in iterations.
    """
    name = f'{type(owner).__name__}: {option}={epoch}'
    instead = f', or {option}=None to {without}' if without else ''
    if max_epochs is None:
        raise ValueError(
            f'{name} counts epochs, but the run is counted in iterations. Set '
            f'train_cfg.by_epoch=True{instead}.'
        )
    if epoch >= max_epochs:
        raise ValueError(
            f'{name}, but the run has {max_epochs} epochs, so {lack}. Train longer '
            f'(train_cfg.max_epochs), or set model.head.{option} to a smaller '
            f'number{instead}.'
        )


class SampleTables:
    """Mixin for heads and models that keep values for each training sample.

    A subclass implements :meth:`new_tables`. In several processes every process has
    the whole tables: :meth:`write` gathers the rows of the global batch.
    """

    _epoch: Optional[int] = None
    _tables: Optional[Dict[str, Tensor]] = None

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return the tables at the start of a training, by name.

        Draws must depend on ``facts.seed`` alone, so that all processes draw the same.

        Args:
            facts (TrainingFacts): Facts of the run.

        Returns:
            dict[str, Tensor]: Each with N rows, on the CPU.
        """
        raise NotImplementedError

    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise or warn if the run is too short for the schedule of the method.

        Args:
            max_epochs (int, optional): See :class:`TrainingFacts`.
        """

    def start_training(self, facts: TrainingFacts) -> None:
        """Make the tables; see :class:`~mmfer.models.protocols.FollowsTraining`."""
        self.check_schedule(facts.max_epochs)
        self._tables = self.new_tables(facts)

    def start_epoch(self, epoch: int) -> None:
        """Store the number of the epoch that begins, 0-based."""
        self._epoch = epoch

    @property
    def epoch(self) -> int:
        """Current epoch, 0-based.

        Raises:
            RuntimeError: The run has no ``SampleStateHook``.
        """
        if self._epoch is None:
            raise self._not_started()
        return self._epoch

    def table(self, name: str) -> Tensor:
        """Return a whole table, on the device on which it lies now."""
        if self._tables is None:
            raise self._not_started()
        return self._tables[name]

    def rows(self, name: str, ids: Tensor, like: Tensor) -> Tensor:
        """Return the rows of some samples, without gradient.

        Args:
            name (str): Name of the table.
            ids (Tensor): Sample ids, int64 (B, ).
            like (Tensor): The table moves to the device of this tensor. A table of
                floats also takes its type if that is float64.

        Returns:
            Tensor: Copy of the rows, (B, ...).
        """
        table = self.table(name)
        double = table.is_floating_point() and like.dtype == torch.float64
        if table.device != like.device or (double and table.dtype != like.dtype):
            table = table.to(like.device, torch.float64 if double else table.dtype)
            assert self._tables is not None
            self._tables[name] = table
        return table[ids.to(table.device, non_blocking=True)]

    @torch.no_grad()
    def write(self, name: str, ids: Tensor, values: Tensor) -> None:
        """Replace the rows of the samples of this batch, in all processes.

        :meth:`rows` must have been called before, because it moves the table. Of a
        sample that the global batch has several times, as after a ``BalancedSampler``,
        the last row is kept.

        Args:
            name (str): Name of the table.
            ids (Tensor): Sample ids of the images of this process, int64 (B, ).
            values (Tensor): New rows, (B, ...).
        """
        table = self.table(name)
        ids = interleave(ids.to(table.device, non_blocking=True))
        # Of several rows for one place a GPU takes any, in each process another one.
        ordered, order = ids.sort(stable=True)
        last = order[torch.searchsorted(ordered, ids, right=True) - 1]
        table[ids] = interleave(values).to(table.dtype)[last]

    def sample_state(self) -> Dict[str, Tensor]:
        """Return all tables, on the CPU."""
        return {name: table.cpu() for name, table in (self._tables or {}).items()}

    def load_sample_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace the tables by those of a checkpoint.

        Args:
            state (Mapping[str, Tensor]): Result of :meth:`sample_state`.

        Raises:
            ValueError: A table is missing or has another shape.
        """
        if self._tables is None:
            raise self._not_started()
        for name, table in self._tables.items():
            found = state.get(name)
            shape = tuple(found.shape) if torch.is_tensor(found) else None
            if shape != tuple(table.shape):
                raise ValueError(
                    f'{type(self).__name__}: the checkpoint has a table {name!r} of '
                    f'shape {shape}, but this run needs {tuple(table.shape)}: one row '
                    'for each training sample. It belongs to another training set or '
                    'to other options. Resume with those, or start anew (load_from).'
                )
        self._tables = {name: state[name].clone() for name in self._tables}

    def _not_started(self) -> RuntimeError:
        return RuntimeError(
            f'{type(self).__name__} keeps values for each training sample, and nobody '
            "told it about the training set: add sample_state=dict(type='"
            "SampleStateHook') to default_hooks."
        )
