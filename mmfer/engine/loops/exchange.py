"""Exchange mmengine's train loops for those that resume inside an epoch."""

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from .epoch_loop import ResumableEpochLoop
from .iter_loop import ResumableIterLoop


def make_resumable(runner: Runner) -> None:
    """Let the train loop of a runner resume inside an epoch, if it is mmengine's.

    A Runner builds mmengine's two loops by name, whatever the registry has, so
    the class of the loop is exchanged afterwards. Loops of other types stay what
    they are.

    Args:
        runner (Runner): Runner with a train loop that was built but not run.
    """
    loop = runner._train_loop
    if type(loop) is EpochBasedTrainLoop:
        loop.__class__ = ResumableEpochLoop
    elif type(loop) is IterBasedTrainLoop:
        loop.__class__ = ResumableIterLoop
        loop.prepare()
