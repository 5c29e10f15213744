"""Prepare stored images before a loop reads batches."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets import prepare_images
from mmfer.registry import HOOKS


@HOOKS.register_module()
class ImageStoreHook(Hook):
    """Open or build the image stores of the data sets, with a progress bar.

    Without this hook, images are decoded in each epoch. See
    :class:`~mmfer.datasets.batched.BatchedDataset`.
    """

    # After hooks that clean the labels of the training set.
    priority = 'LOW'

    def before_train(self, runner: Runner) -> None:
        """Prepare the images of the training set."""
        prepare_images(runner.train_dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Prepare the images of the validation set."""
        prepare_images(runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Prepare the images of the test set."""
        prepare_images(runner.test_dataloader.dataset)
