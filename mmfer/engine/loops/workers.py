"""End the worker processes of loaders when a run is over."""

from contextlib import contextmanager
from typing import Any, Iterator

from mmengine.runner import Runner


@contextmanager
def workers_ended(runner: Runner) -> Iterator[None]:
    """End the persistent workers of a run after the block, also after an error.

    A loader that is left to the garbage collector waits five seconds for each of its
    workers: the queues that tell them to end are closed before. Several trainings in
    one process, such as those of a cleaning, would wait each time. A signal ends the
    process, and its workers with it, so there is nothing to wait for.

    Args:
        runner (Runner): Runner whose train loop is built.
    """
    try:
        yield
    except Exception:
        end_workers(runner)
        raise
    end_workers(runner)


def end_workers(runner: Runner) -> None:
    """End the workers of the train and the val loader, if they are running."""
    for loop in (runner._train_loop, runner._val_loop):
        loader: Any = getattr(loop, 'dataloader', None)
        iterator = getattr(loader, '_iterator', None)
        if iterator is not None:
            loader._iterator = None
            iterator._shutdown_workers()
