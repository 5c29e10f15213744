"""Change an attribute of the model linearly during training."""

from operator import attrgetter

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checks import in_range


@HOOKS.register_module()
class LinearRampHook(Hook):
    """Set an attribute of the model to a value that changes linearly.

    For example, ALUM learns "from easy to hard", as its paper mentions, if
    ``head.mine_ratio`` rises from 0 to p. The value depends only on the
    iteration, so a resumed run continues with the right one.

    Args:
        attribute (str): Dotted path of the attribute in the model, e.g.
            ``'head.mine_ratio'``.
        end (float): Value from epoch ``epochs`` on.
        epochs (float): Length of the ramp in epochs, above 0.
        start (float): Value at the first iteration. Defaults to 0.
    """

    def __init__(self, attribute: str, end: float, epochs: float, start: float = 0.0):
        in_range(self, 'epochs', epochs, 0, open_low=True)
        self.owner, _, self.name = attribute.rpartition('.')
        self.attribute = attribute
        self.start, self.end, self.epochs = start, end, epochs

    def value(self, progress: float) -> float:
        """Return the value after ``progress`` epochs."""
        share = min(progress / self.epochs, 1.0)
        return self.start + share * (self.end - self.start)

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Set the attribute before each iteration."""
        model = unwrap_model(runner.model)
        owner = attrgetter(self.owner)(model) if self.owner else model
        if not hasattr(owner, self.name):
            raise AttributeError(
                f'LinearRampHook: the model has no {self.attribute!r}. Correct '
                'attribute, a dotted path from the model.'
            )
        progress = runner.iter / len(runner.train_dataloader)
        setattr(owner, self.name, self.value(progress))
