"""Train loop that is counted in iterations, and resumes at any of them."""

from typing import Any, Dict, Iterable, Iterator, Optional

from mmengine.dataset import InfiniteSampler
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader

from mmfer.datasets import fer_datasets
from mmfer.registry import LOOPS

from .position import ResumableLoop, global_batch
from .remaining import Passes, remaining_batches, with_batch_sampler
from .workers import workers_ended


@LOOPS.register_module()
class ResumableIterLoop(ResumableLoop, IterBasedTrainLoop):
    """``IterBasedTrainLoop`` that goes on at the batch at which it was stopped.

    Batches before it are not loaded again. Augmentation depends on the seed, the
    pass over the data and the sample, as in a run that is counted in epochs.
    ``SafeCheckpointHook`` makes this loop of mmengine's, so configs need not name
    it.
    """

    # Pass over the data, 0-based.
    passes: int = 0

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.prepare()

    def prepare(self) -> None:
        """Replace the iterator that mmengine's loop has begun when it was built.

        It was begun before the data sets got their seed.
        """
        if isinstance(self.dataloader, DataLoader):
            self.dataloader._iterator = None
        self.dataloader_iterator = self._batches()

    def state(self) -> Dict[str, Any]:
        """Return the number of passes that are done."""
        return dict(passes=self.passes)

    def load_state(self, state: Dict[str, Any]) -> None:
        """Take the result of :meth:`state`."""
        self.passes = int(state.get('passes', 0))

    def run(self) -> Any:
        """Train until the last iteration, or until a signal comes."""
        with self.signals_held(), workers_ended(self.runner):
            return self._run()

    def _run(self) -> Any:
        self.runner.call_hook('before_train')
        # The whole run is one epoch for hooks, as in mmengine.
        self.runner.call_hook('before_train_epoch')
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            with self.iterations():
                self.run_iter(next(self.dataloader_iterator))
                self.end_on_signal()
            self._decide_current_val_interval()
            if self._validates():
                self.runner.val_loop.run()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        """Train on a batch; see mmengine's loop."""
        # Hooks may save after this step, when the batch is done.
        self.batches_done += 1
        super().run_iter(data_batch)

    def epoch_ends(self) -> bool:
        """Return whether this is the last iteration: the run is one epoch."""
        return self._iter + 1 >= self._max_iters

    def _validates(self) -> bool:
        """Return whether a validation follows this iteration."""
        return (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )

    def _batches(self) -> Iterator[Any]:
        """Yield batches without end, one pass over the data after another."""
        passes: Optional[Iterable] = None
        while True:
            done = self.begin_epoch()
            length = self._pass_length()
            if length is not None and done >= length:
                # The checkpoint was written at the end of a pass.
                self.passes += done // length
                self.batches_done = done = done % length
            for dataset in fer_datasets(self.dataloader.dataset):
                dataset.set_random_state(self.runner.seed, self.passes)
            self.restore_model()
            if passes is None:
                passes = self._endless_passes(done)
            if passes is not None:
                yield from passes
            else:
                self._set_epoch()
                yield from remaining_batches(self.dataloader, done)
            self.passes += 1

    def _set_epoch(self) -> None:
        """Tell the sampler which pass begins; each has another order."""
        for sampler in (
            self.dataloader.sampler,
            getattr(self.dataloader.batch_sampler, 'sampler', None),
        ):
            set_epoch = getattr(sampler, 'set_epoch', None)
            if set_epoch is not None:
                set_epoch(self.passes)
                return

    def _pass_length(self) -> Optional[int]:
        """Return the batches of a pass if the sampler never ends; None otherwise."""
        loader = self.dataloader
        if not isinstance(getattr(loader, 'sampler', None), InfiniteSampler):
            return None
        return max(1, len(loader.dataset) // global_batch(loader))

    def _endless_passes(self, done: int) -> Optional[DataLoader]:
        """Return a loader of single passes if the sampler of this one never ends.

        Args:
            done (int): Batches of the current pass that are done.
        """
        length = self._pass_length()
        if length is None:
            return None
        loader = self.dataloader
        # It goes on where its last iterator has stopped, even if nobody used what
        # that one has drawn.
        loader.sampler.indices = loader.sampler._indices_of_rank()
        return with_batch_sampler(
            loader, Passes(loader.batch_sampler, length, self.passes * length + done)
        )
