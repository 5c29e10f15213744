"""Prepare stored images before a loop reads batches."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets import fer_datasets, prepare_images
from mmfer.models.data_preprocessor import FERDataPreprocessor
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS


@HOOKS.register_module()
class ImageStoreHook(Hook):
    """Open or build the image stores of the data sets, with a progress bar.

    Without this hook, images are decoded in each epoch. See
    :class:`~mmfer.datasets.batched.BatchedDataset`.

    Args:
        on_device (bool): Keep the stored images of the training set in the memory
            of the model's device, if they take at most a quarter of what is free.
            Then no image is copied in a step. Defaults to False.
    """

    # After hooks that clean the labels of the training set.
    priority = 'LOW'

    def __init__(self, on_device: bool = False):
        self.on_device = on_device

    def before_train(self, runner: Runner) -> None:
        """Prepare the images of the training set."""
        dataset = runner.train_dataloader.dataset
        prepare_images(dataset)
        preprocessor = unwrap_model(runner.model).data_preprocessor
        if not self.on_device or not isinstance(preprocessor, FERDataPreprocessor):
            return
        for inner in fer_datasets(dataset):
            inner.keep_on_device(preprocessor.keep_images)

    def before_val(self, runner: Runner) -> None:
        """Prepare the images of the validation set."""
        prepare_images(runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Prepare the images of the test set."""
        prepare_images(runner.test_dataloader.dataset)
