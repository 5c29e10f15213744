"""Collect the messages of the checks, and report them."""

import logging
from typing import List, Optional

from mmengine.logging import print_log


class PreflightError(ValueError):
    """Error for settings that contradict each other, before the first iteration."""


class Findings:
    """Errors and warnings of one check."""

    def __init__(self) -> None:
        self.errors: List[str] = []
        self.warnings: List[str] = []

    def error(self, *sentences: Optional[str]) -> None:
        """Add errors; None and repeated messages are skipped."""
        self.errors += [s for s in sentences if s and s not in self.errors]

    def warn(self, *sentences: Optional[str]) -> None:
        """Add warnings; None and repeated messages are skipped."""
        self.warnings += [s for s in sentences if s and s not in self.warnings]

    def report(self, strict: bool = True) -> None:
        """Log the warnings, and raise an error if there are errors.

        Args:
            strict (bool): False logs errors as warnings. Defaults to True.

        Raises:
            PreflightError: There are errors. The message contains all of them.
        """
        warnings = self.warnings if strict else self.errors + self.warnings
        for sentence in warnings:
            print_log(sentence, 'current', level=logging.WARNING)
        if self.errors and strict:
            raise PreflightError('\n'.join(self.errors))
