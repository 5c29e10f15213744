"""Checks before the first iteration.

Some things are stated in several places: the classes by each data set and by
the model, the size of images by the files, the pipeline and the model.
:mod:`.comparisons` compares plain facts, :mod:`.facts` gathers them, and
:mod:`.checks` does both for a runner.
"""

from .checks import (
    Findings,
    PreflightError,
    build_fitting_loop,
    check_batches,
    check_checkpoint,
    check_cleaning,
    check_evaluation,
    check_training,
)
from .comparisons import (
    check_batch_count,
    check_crops,
    check_image_size,
    check_loop,
    check_narrow_views,
    check_one_class,
    check_shapes,
    check_single_samples,
    compare_classes,
    compare_labels,
    compare_one_hot,
    compare_outputs,
    smallest_batch,
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
