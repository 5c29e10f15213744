"""Train loop that is counted in epochs, and resumes inside them."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop

from mmfer.registry import LOOPS

from .position import ResumableLoop
from .remaining import remaining_batches
from .workers import workers_ended


@LOOPS.register_module()
class ResumableEpochLoop(ResumableLoop, EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` that goes on at the batch at which it was stopped.

    Batches before it are not loaded again. ``SafeCheckpointHook`` makes this loop
    of mmengine's, so configs need not name it.
    """

    def run(self) -> Any:
        """Train until the last epoch, or until a signal comes."""
        with self.signals_held(), workers_ended(self.runner):
            return super().run()

    def run_epoch(self) -> None:
        """Train on the remaining batches of an epoch."""
        done = self.begin_epoch()
        self.runner.call_hook('before_train_epoch')
        self.restore_model()
        self.runner.model.train()
        batches = remaining_batches(self.dataloader, done)
        with self.iterations():
            for idx, data_batch in enumerate(batches, start=done):
                self.run_iter(idx, data_batch)
                self.end_on_signal()
            # A checkpoint that is written from here on belongs to the next epoch.
            self.batches_done = 0
            self.runner.call_hook('after_train_epoch')
            self._epoch += 1
            self.end_on_signal(last=True)

    def epoch_ends(self) -> bool:
        """Return whether all batches of the epoch are done."""
        return self.batches_done >= len(self.dataloader)

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on a batch.

        Args:
            idx (int): Position of the batch in the epoch, 0-based.
            data_batch (Any): What the loader returned.
        """
        # Hooks may save after this step, when the batch is done.
        self.batches_done = idx + 1
        super().run_iter(idx, data_batch)
