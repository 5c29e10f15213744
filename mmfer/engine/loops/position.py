"""Position inside an epoch, which checkpoints store and loops continue from."""

import signal
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.runner import Runner

from mmfer.models.protocols import KeepsEpochState
from mmfer.models.utils import unwrap_model
from mmfer.utils.signals import DeferredSignals, Interrupted, outlive_signals

# Several processes agree at every so many iterations whether one got a signal or
# saves. Each time, a GPU has to wait for the CPU.
AGREE_INTERVAL = 10


class ResumableLoop:
    """Mixin of train loops that know their position inside an epoch.

    An epoch is one pass over the training data, also in a run that is counted in
    iterations. On SIGTERM or SIGINT the loop saves a checkpoint after the current
    iteration, and raises :class:`~mmfer.utils.signals.Interrupted`. Outside of
    iterations, for example in a validation, it does not wait: the checkpoint of the
    epoch is written by then.
    """

    runner: Runner
    dataloader: Any
    # Batches of this epoch on which the model was trained.
    batches_done: int = 0
    # Time of the epoch before the run was resumed, in seconds.
    earlier_seconds: float = 0.0
    # Position from which the next epoch goes on; None if it begins at the start.
    resumed: Optional[Dict[str, Any]] = None
    _started: float = 0.0
    _signals: DeferredSignals = DeferredSignals()

    # -- saving ------------------------------------------------------------
    def position(self) -> Dict[str, Any]:
        """Return the position of the run, in types that load safely.

        All processes must call this together.

        Returns:
            dict: With these keys:

            - ``batches``, ``samples``: what this epoch has trained on, in one
              process and in all of them.
            - ``seconds``: time that the epoch took so far.
            - ``model``: for each process, what the model has collected; see
              :class:`~mmfer.models.protocols.KeepsEpochState`.
            - ``buffers``: for each process, the buffers of its model if there
              are several. Running statistics of BatchNorm differ until the epoch
              ends.
            - ``loop``: see :meth:`state`.
        """
        done = self.batches_done
        model = unwrap_model(self.runner.model)
        collected, buffers = [], []
        if done and isinstance(model, KeepsEpochState):
            collected = all_gather_object(model.epoch_state())
        if done and get_world_size() > 1:
            own = {name: value.cpu() for name, value in model.named_buffers()}
            buffers = all_gather_object(own)
        seconds = self.earlier_seconds + time.time() - self._started
        return dict(
            batches=done,
            samples=done * global_batch(self.dataloader),
            seconds=seconds if done else 0.0,
            model=collected,
            buffers=buffers,
            loop=self.state(),
        )

    def state(self) -> Dict[str, Any]:
        """Return what else a subclass needs to go on, in plain types."""
        return {}

    def load_state(self, state: Dict[str, Any]) -> None:
        """Take the result of :meth:`state`."""

    def epoch_ends(self) -> bool:
        """Return whether ``after_train_epoch`` of the hooks follows this iteration.

        Hooks may call it in ``after_train_iter``.
        """
        raise NotImplementedError

    # -- going on ----------------------------------------------------------
    def resume_from(self, position: Dict[str, Any]) -> None:
        """Go on from the position in a checkpoint.

        Args:
            position (dict): Result of :meth:`position`.
        """
        self.load_state(position.get('loop', {}))
        self.resumed = position if position.get('samples') else None

    def begin_epoch(self) -> int:
        """Begin an epoch, and return how many of its batches are done already."""
        self._started = time.time()
        self.batches_done, self.earlier_seconds = 0, 0.0
        if self.resumed is not None:
            # With another batch size, the batches do not end at the same samples. Some
            # may be trained on twice then.
            size = global_batch(self.dataloader)
            self.batches_done = int(self.resumed['samples']) // size
            self.earlier_seconds = float(self.resumed['seconds'])
        return self.batches_done

    def restore_model(self) -> None:
        """Give the model its state at this position.

        Hooks that begin an epoch reset it, so they must be called earlier.
        """
        resumed, self.resumed = self.resumed, None
        if resumed is None:
            return
        self.runner.logger.info(
            f'Going on inside the epoch: its first {self.batches_done} batches '
            'were trained on before.'
        )
        model = unwrap_model(self.runner.model)
        if len(resumed['buffers']) == get_world_size():
            buffers = dict(model.named_buffers())
            for name, value in resumed['buffers'][get_rank()].items():
                if name in buffers:
                    buffers[name].copy_(value)
        if resumed['model'] and isinstance(model, KeepsEpochState):
            model.load_epoch_state(own_parts(resumed['model']))

    # -- signals -----------------------------------------------------------
    @contextmanager
    def signals_held(self) -> Iterator[None]:
        """Hold back signals during the iterations of the run."""
        outlive_signals(self.dataloader)
        if self.runner._val_loop is not None:
            outlive_signals(self.runner.val_dataloader)
        with DeferredSignals() as self._signals:
            try:
                yield
            except Interrupted as error:
                self.runner.logger.warning(
                    f'{error.name}: the run ends. Go on with --resume (resume=True).'
                )
                error.reported = True
                raise

    @contextmanager
    def iterations(self) -> Iterator[None]:
        """Let signals wait for :meth:`end_on_signal` inside this block."""
        self._signals.deferring = True
        try:
            yield
        finally:
            self._signals.deferring = False

    def end_on_signal(self, last: bool = False) -> None:
        """Save and end the run if a signal waits; all processes call it together.

        Args:
            last (bool): Whether the epoch ends here. Defaults to False.
        """
        step = self.runner.iter
        if get_world_size() > 1 and not last and step % AGREE_INTERVAL:
            return
        received = self._signals.received
        if not any_process(received is not None):
            return
        for hook in self.runner.hooks:
            save = getattr(hook, 'save_inside_epoch', None)
            if save is not None:
                save(self.runner, step)
        # Another process may have got the signal.
        raise Interrupted(received or signal.SIGTERM)


def global_batch(loader: Any) -> int:
    """Return the number of samples in a batch of all processes, at least 1."""
    size = loader.batch_size
    if size is None:
        size = getattr(loader.batch_sampler, 'batch_size', None) or 1
    return size * get_world_size()


def resumable_loop(runner: Runner) -> Optional[ResumableLoop]:
    """Return the train loop of a runner if it can resume inside an epoch."""
    loop = runner._train_loop
    return loop if isinstance(loop, ResumableLoop) else None


def inside_epoch(runner: Runner) -> bool:
    """Return whether the run goes on inside an epoch.

    Hooks use this in ``before_train`` and ``before_train_epoch``: what they do at the
    beginning of an epoch was done before the checkpoint was written.
    """
    loop = resumable_loop(runner)
    return loop is not None and loop.resumed is not None


def any_process(flag: bool) -> bool:
    """Return whether a flag is set in any process; all call it together."""
    if get_world_size() == 1:
        return flag
    value = torch.tensor(float(flag))
    all_reduce(value, 'max')
    return bool(value)


def own_parts(parts: List[Any]) -> List[Any]:
    """Return the parts of an epoch's state that this process takes over.

    Args:
        parts (list): One part for each process that wrote the checkpoint.

    Returns:
        list: Its own part if there are as many processes as before. Otherwise
        the first process takes all parts.
    """
    if len(parts) == get_world_size():
        return [parts[get_rank()]]
    return parts if get_rank() == 0 else []
