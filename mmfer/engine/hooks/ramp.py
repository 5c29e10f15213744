"""Move one number of the model during training."""

from operator import attrgetter

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS


@HOOKS.register_module()
class LinearRampHook(Hook):
    """Set an attribute of the model to a value that rises linearly.

    ALUM's ``head.mine_ratio`` from 0 to p is the "from easy to hard" that
    its text mentions. The value is a function of the iteration alone, so a
    resumed run continues with the right one.

    Args:
        attribute (str): Dotted path from the model, e.g.
            ``'head.mine_ratio'``.
        end (float): Value from epoch ``epochs`` on.
        epochs (float): Length of the ramp.
        start (float): Value at the first iteration. Defaults to 0.
    """

    def __init__(self, attribute: str, end: float, epochs: float, start: float = 0.0):
        if epochs <= 0:
            raise ValueError(f'epochs must be positive, got {epochs}')
        self.owner, _, self.name = attribute.rpartition('.')
        self.attribute = attribute
        self.start, self.end, self.epochs = start, end, epochs

    def value(self, progress: float) -> float:
        """The value after ``progress`` epochs."""
        share = min(progress / self.epochs, 1.0)
        return self.start + share * (self.end - self.start)

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Set the attribute."""
        model = unwrap_model(runner.model)
        owner = attrgetter(self.owner)(model) if self.owner else model
        if not hasattr(owner, self.name):
            raise AttributeError(f'LinearRampHook: the model has no {self.attribute!r}')
        progress = runner.iter / len(runner.train_dataloader)
        setattr(owner, self.name, self.value(progress))
