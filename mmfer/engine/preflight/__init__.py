"""Checks of all settings before the first iteration.

Some settings are stated in several places. For example, each data set and the
model state the classes; the files, the pipeline and the model state the image
size. The modules of this package compare them:

- :mod:`.checks` runs all checks before training, testing or cleaning.
- :mod:`.facts` and :mod:`.pipeline_probe` find the properties of data sets,
  models and pipelines.
- :mod:`.compare_classes`, :mod:`.compare_batches` and :mod:`.compare_images`
  compare plain values. Each check returns a message that states both values
  and what to do, or None if nothing is wrong.
- :mod:`.batches` checks the batches of a loader, and builds loaders for data
  sets that a cleaning has made smaller.
- :mod:`.findings` collects the messages and reports them.
"""

from .batches import build_fitting_loop
from .checks import (
    check_batches,
    check_checkpoint,
    check_cleaning,
    check_evaluation,
    check_training,
)
from .compare_classes import check_one_class
from .findings import Findings, PreflightError

__all__ = [
    'Findings',
    'PreflightError',
    'build_fitting_loop',
    'check_batches',
    'check_checkpoint',
    'check_cleaning',
    'check_evaluation',
    'check_one_class',
    'check_training',
]
