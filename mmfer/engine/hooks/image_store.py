"""Prepare stored images before a loop reads batches."""

from typing import Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmfer.datasets import fer_datasets, prepare_images
from mmfer.datasets.batches import fer_collate
from mmfer.models.data_preprocessor import FERDataPreprocessor
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS


def slow_batches(loader: DataLoader, model: nn.Module) -> Optional[str]:
    """Return why a loader does not make whole batches; None if it does.

    Reasons that lie in a pipeline are in ``slow_reason`` of the data set.

    Args:
        loader (DataLoader): Loader of a runner.
        model (nn.Module): Model of the runner.
    """
    collate_fn = getattr(loader.collate_fn, 'func', loader.collate_fn)
    if collate_fn is fer_collate or not any(fer_datasets(loader.dataset)):
        return None
    preprocessor = getattr(unwrap_model(model), 'data_preprocessor', None)
    if isinstance(preprocessor, FERDataPreprocessor):
        return (
            f'its collate function is {getattr(collate_fn, "__name__", collate_fn)}; '
            "write collate_fn=dict(type='fer_collate') in the loader. `mmfer train` "
            'does so'
        )
    return (
        f'{type(preprocessor or model).__name__} cannot prepare whole batches; write '
        "type='FERDataPreprocessor' in data_preprocessor"
    )


@HOOKS.register_module()
class ImageStoreHook(Hook):
    """Open or build the image stores of the data sets, with a progress bar.

    Without this hook, images are decoded in each epoch. See
    :class:`~mmfer.datasets.batched.BatchedDataset`.

    Args:
        on_device (bool): Keep the stored images of the training set in the memory
            of the GPU during the training, if they take at most a quarter of what
            is free. Then no image is copied in a step. Defaults to False.
    """

    # After hooks that clean the labels of the training set.
    priority = 'LOW'

    def __init__(self, on_device: bool = False):
        self.on_device = on_device

    def before_train(self, runner: Runner) -> None:
        """Prepare the images of the training and the validation set.

        If the validation set has a damaged image, the run stops here and not
        after its first epoch.
        """
        dataset = runner.train_dataloader.dataset
        prepare_images(dataset)
        if runner.val_loop is not None:
            prepare_images(runner.val_dataloader.dataset)
        preprocessor = self._preprocessor(runner)
        reason = slow_batches(runner.train_dataloader, runner.model)
        if reason is not None:
            runner.logger.info(
                'train_dataloader: batches are made of one image after the other, '
                'and the random steps of the pipeline run for each image. This is '
                f'slower than for whole batches. The reason: {reason}.'
            )
        for inner in fer_datasets(dataset):
            # Another run of this process may have kept images on its device.
            inner.leave_device()
            if self.on_device and preprocessor is not None:
                inner.keep_on_device(preprocessor.keep_images)

    def after_train(self, runner: Runner) -> None:
        """Free the memory of the device; other models may read the data set."""
        for inner in fer_datasets(runner.train_dataloader.dataset):
            inner.leave_device()
        preprocessor = self._preprocessor(runner)
        if preprocessor is not None:
            preprocessor.drop_images()

    @staticmethod
    def _preprocessor(runner: Runner) -> Optional[FERDataPreprocessor]:
        """Return the data preprocessor of the model, None if it cannot keep images."""
        found = getattr(unwrap_model(runner.model), 'data_preprocessor', None)
        return found if isinstance(found, FERDataPreprocessor) else None

    def before_val(self, runner: Runner) -> None:
        """Prepare the images of the validation set, if there is no training."""
        prepare_images(runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Prepare the images of the test set."""
        prepare_images(runner.test_dataloader.dataset)
