"""Runners whose console shows what a user wants to know; see `mmfer.utils.console`."""

from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..engine import ConsoleHook
from ..utils.console import quieten


class ConsoleRunner(Runner):
    """``Runner`` whose logger writes to the console what a user wants to know."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger, before anything is logged."""
        logger = super().build_logger(*args, **kwargs)
        quieten(logger)
        return logger


def make_runner(cfg: Config, verbose: bool = False) -> Runner:
    """Build the runner of a config, with a header and a line for each epoch.

    Args:
        cfg (Config): Config of the run.
        verbose (bool): Show the whole log on the console. Defaults to False.
    """
    if 'runner_type' in cfg:
        runner = RUNNERS.build(cfg)
        if not verbose:
            quieten(runner.logger)
    else:
        runner = (Runner if verbose else ConsoleRunner).from_cfg(cfg)
    if not any(isinstance(hook, ConsoleHook) for hook in runner.hooks):
        runner.register_hook(ConsoleHook())
    return runner
