"""Checks before the first iteration.

Some settings are stated in several places: the classes by each data set and
by the model, the image size by the files, the pipeline and the model. The
modules of this package compare them:

- :mod:`.checks` runs all checks of a training, a test or a cleaning.
- :mod:`.facts` and :mod:`.pipeline_probe` find out what data sets, models and
  pipelines are like.
- :mod:`.compare_classes`, :mod:`.compare_batches` and :mod:`.compare_images`
  compare plain values. Each of their functions returns a message with both
  values and what to do, or None if there is nothing wrong.
- :mod:`.batches` looks at the batches of a loader, and builds loaders for
  data sets that a cleaning has made smaller.
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
from .compare_batches import (
    check_batch_count,
    check_loop,
    check_single_samples,
    smallest_batch,
)
from .compare_classes import (
    check_one_class,
    compare_classes,
    compare_labels,
    compare_one_hot,
    compare_outputs,
)
from .compare_images import (
    check_crops,
    check_image_size,
    check_narrow_views,
    check_shapes,
)
from .facts import (
    ModelFacts,
    class_sets,
    classes_of_config,
    image_datasets,
    model_facts,
    prepared_images,
    stated_classes,
)
from .findings import Findings, PreflightError

__all__ = [
    'Findings',
    'ModelFacts',
    'PreflightError',
    'build_fitting_loop',
    'check_batch_count',
    'check_batches',
    'check_checkpoint',
    'check_cleaning',
    'check_crops',
    'check_evaluation',
    'check_image_size',
    'check_loop',
    'check_narrow_views',
    'check_one_class',
    'check_shapes',
    'check_single_samples',
    'check_training',
    'class_sets',
    'classes_of_config',
    'compare_classes',
    'compare_labels',
    'compare_one_hot',
    'compare_outputs',
    'image_datasets',
    'model_facts',
    'prepared_images',
    'smallest_batch',
    'stated_classes',
]
