"""Data set that makes whole batches at once."""

from typing import Any, Callable, Dict, Optional, Sequence, Set, Tuple, Union

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from .batches import IndexedSamples, PlannedImages, SampleBatch, stack_packed
from .batches.operations import UnsupportedShape
from .batches.sample_batch import is_numeric
from .batches.splitting import HeadReader, SplitPipeline, run_steps, split_pipeline
from .images import ImageStore, UnreadableImageError, have_equal_sizes, open_store
from .labels import LabelledDataset
from .stored_images import DeviceKeys, StoredImages, Stores


class BatchedDataset(LabelledDataset):
    """Data set that makes whole batches at once.

    A batch is made in three steps:

    1. The deterministic steps at the beginning of the pipeline (load, resize,
       centre crop) are done once. :meth:`prepare_images` keeps their result in
       an image store.
    2. The random steps are drawn for the whole batch, from (seed, epoch,
       sample_id). See :mod:`mmfer.datasets.batches.operations`.
    3. ``FERDataPreprocessor`` applies them on the device of the model.

    Some pipelines cannot be split in this way; :attr:`slow_reason` says why. They
    run for each image. So do all pipelines in loaders with another collate
    function than ``fer_collate``.
    """

    SHARED_WITH_SUBSETS = (
        *LabelledDataset.SHARED_WITH_SUBSETS,
        '_images',
        '_random_state',
        '_stores',
        '_without_store',
    )
    SHARED_WITH_COPIES = (
        *LabelledDataset.SHARED_WITH_COPIES,
        '_images',
        '_stores',
        '_without_store',
    )

    # Method of a subclass that stack() would ignore, such as prepare_data.
    own_method: Optional[str] = None
    image_store: bool
    # Images of data sets without files, uint8 (N, H, W[, C]) by sample_id.
    _images: Optional[np.ndarray]
    # Seed and epoch of the augmentation, negative if they are not set.
    _random_state: Tensor
    _stores: Stores
    # Recipes for which there can be no store. It is not tried again in each epoch.
    _without_store: Set[str]
    # Images on the device of the model that trains on this data set.
    _resident: DeviceKeys
    # Parts of a pipeline, and this pipeline.
    _parts: Optional[Tuple[Any, SplitPipeline]] = None
    # The last slow_reason, and what it depends on.
    _reason: Optional[Tuple[Any, Optional[str]]] = None
    # Whether all files have one size; None before they were looked at.
    _equal_files: Optional[bool] = None
    # Reasons that were logged.
    _logged: Set[str]

    # -- parts of the pipeline ---------------------------------------------
    @property
    def parts(self) -> SplitPipeline:
        """Parts of the pipeline, see :func:`split_pipeline`."""
        # A view is a copy with another pipeline.
        if self._parts is None or self._parts[0] is not self.pipeline:
            self._parts = (self.pipeline, split_pipeline(self.pipeline))
        return self._parts[1]

    @property
    def slow_reason(self) -> Optional[str]:
        """Reason why the pipeline runs for each image; None if it does not."""
        stored = self._stores.get(self.parts.recipe)
        # A view has another pipeline, and the store is prepared later.
        state = (self.pipeline, stored)
        if self._reason is None or self._reason[0] != state:
            self._reason = (state, self._find_reason())
        return self._reason[1]

    def _find_reason(self) -> Optional[str]:
        """See :attr:`slow_reason`."""
        parts = self.parts
        if self.own_method:
            return f'{self.name} has its own {self.own_method}()'
        if parts.reason is not None:
            return parts.reason
        if not parts.fixed_size and not self._equal_sizes():
            return (
                'the images have different sizes where the random steps begin; '
                "write dict(type='Resize', scale=(width, height)) directly after "
                f'{type(parts.head[-1]).__name__}'
            )
        if not parts.operations:
            return None
        info = self.get_data_info(0)
        path = info['img_path']
        try:
            shape = self.head_results(info)['img'].shape
        except UnreadableImageError as error:
            raise self._unreadable(error, path) from None
        shape = (*shape, 1)[:3]
        try:
            for operation in parts.operations:
                shape = operation.output_shape(shape)
        except UnsupportedShape as error:
            return str(error)
        return None

    def _equal_sizes(self) -> bool:
        """Return whether all images have one size after the head."""
        if self._images is not None:
            return True
        stored = self._stores.get(self.parts.recipe)
        if stored is not None:
            return stored.store.shape is not None
        if self._equal_files is None:
            self._equal_files = have_equal_sizes(self.image_paths)
        return self._equal_files

    # -- images --------------------------------------------------------------
    def prepare_images(self) -> None:
        """Open the store of the images after the head, or build it.

        A loop calls this once before it reads batches. If the store cannot be
        had, one warning says why, and the images are decoded in each epoch.

        Raises:
            UnreadableImageError: An image is damaged.
        """
        self.full_init()
        parts = self.parts
        if (
            parts.head
            and self.image_store
            and parts.recipe not in self._without_store
            and self._rows(self.sample_ids) is None
        ):
            self._open_store(build=True)
        reason = self.slow_reason
        if reason is not None and reason not in self._logged:
            self._logged.add(reason)
            print_log(
                f'{self.name}: the random steps of the pipeline run for each image. '
                'This is slower than for whole batches on the device of the model. '
                f'The reason: {reason}.',
                'current',
            )

    def _open_store(self, build: bool) -> None:
        """Open the store of the pipeline, see :meth:`_open_images`."""
        # A cleaning may have dropped samples that tables still list.
        whole: Any = self if self.uncleaned is None else self.uncleaned
        stored = whole._open_images(self.parts, build)
        if stored is None:
            self._without_store.add(self.parts.recipe)
        else:
            self._stores.add(self.parts.recipe, stored)

    def _open_images(self, parts: SplitPipeline, build: bool) -> Optional[StoredImages]:
        """Return the store of all images of this set, None if there can be none.

        Args:
            parts (SplitPipeline): Pipeline of this set or of a view.
            build (bool): Build the store if there is none.
        """
        if self._images is not None:
            first = parts.head[0]
            if len(parts.head) == 1 and (
                first.color_type == 'color' or self._images.ndim == 3
            ):
                return StoredImages(ImageStore.from_array(self._images))
            images = [
                run_steps(parts.head, dict(img=image.copy()))['img']
                for image in self._images
            ]
            return StoredImages(ImageStore.from_array(np.stack(images)))
        # A subset may have a sample several times.
        ids, order = np.unique(self.sample_ids, return_index=True)
        paths = self.image_paths
        try:
            store = open_store(
                [paths[i] for i in order],
                HeadReader(parts.head),
                parts.recipe,
                self.name,
                build,
            )
        except UnreadableImageError as error:
            raise self._unreadable(error, error.path) from None
        if store is None:
            return None
        return StoredImages(store, None if ids[-1] == len(ids) - 1 else ids)

    def _unreadable(
        self, error: UnreadableImageError, path: str
    ) -> UnreadableImageError:
        """Make the error for an unreadable image of this data set."""
        raise NotImplementedError

    def _rows(self, sample_ids: np.ndarray) -> Optional[np.ndarray]:
        """Return the rows of samples in the prepared store, int64 (B,).

        The result is None if there is no store with these samples.
        """
        recipe = self.parts.recipe
        if (
            recipe not in self._stores
            and self._images is None
            and recipe not in self._without_store
            and self._stores.is_announced(recipe)
        ):
            # This worker was started before, as in loops that count iterations.
            self._open_store(build=False)
        stored = self._stores.get(recipe)
        return None if stored is None else stored.rows(sample_ids)

    def _read_images(
        self, sample_ids: np.ndarray, indices: Sequence[int]
    ) -> Optional[np.ndarray]:
        """Return the images of samples after the head, uint8 (B, H, W, C).

        The result is None if their sizes differ.
        """
        rows = self._rows(sample_ids)
        if rows is not None:
            store = self._stores[self.parts.recipe].store
            # Images of one height and width may have different channels.
            if store.shape is not None:
                return store.read(rows)
        images = []
        for index in indices:
            info = self.get_data_info(index)
            try:
                images.append(self.head_results(info)['img'])
            except UnreadableImageError as error:
                raise self._unreadable(error, info['img_path']) from None
        if any(image.shape != images[0].shape for image in images):
            return None
        batch = np.stack(images)
        return batch[..., None] if batch.ndim == 3 else batch

    def head_results(self, info: dict) -> dict:
        """Return a sample after the head of the pipeline.

        Args:
            info (dict): Result of :meth:`get_data_info`; it is changed.
        """
        head = self.parts.head
        row = self._rows(np.array([info['sample_id']]))
        if row is None or not head:
            if 'img' in info:
                # Some transforms change the image that they are given.
                info['img'] = info['img'].copy()
            return run_steps(head, info)
        image = self._stores[self.parts.recipe].store.image(int(row[0]))
        results = dict(info, img=image, img_shape=image.shape[:2])
        if len(head) == 1:
            # The image was only loaded.
            results['ori_shape'] = image.shape[:2]
        return results

    # -- batches ------------------------------------------------------------
    def __getitems__(self, indices: Sequence[int]) -> IndexedSamples:
        """Return samples that a collate function can make at once."""
        return IndexedSamples(self, indices)

    def stack(self, indices: Sequence[int]) -> dict:
        """Make a batch, see :func:`~mmfer.datasets.batches.fer_collate`.

        Args:
            indices (Sequence[int]): Positions of B samples in this (sub)set.
        """
        if self.slow_reason is None:
            sample_ids = self.sample_ids[np.asarray(indices)]
            inputs = self._plan(sample_ids, indices)
            if inputs is not None:
                return dict(
                    inputs=inputs, data_samples=self._stack_samples(sample_ids, indices)
                )
        return stack_packed([self[index] for index in indices])

    def _plan(
        self, sample_ids: np.ndarray, indices: Sequence[int]
    ) -> Union[Tensor, PlannedImages, None]:
        """Read the images of a batch, and draw their random steps.

        Args:
            sample_ids (np.ndarray): int64 (B,).
            indices (Sequence[int]): Their positions in this (sub)set.

        Returns:
            Tensor | PlannedImages: uint8 (B, C, H, W). None if the sizes of the
            images differ.
        """
        parts = self.parts
        source, rows = self._resident.get(parts.recipe, ''), self._rows(sample_ids)
        if source and rows is not None:
            shape = self._stores[parts.recipe].store.shape
            assert shape is not None  # Else there is no copy on the device.
            images = torch.from_numpy(rows)
        else:
            source = ''
            pixels = self._read_images(sample_ids, indices)
            if pixels is None:
                return None
            images, shape = (
                torch.from_numpy(pixels).permute(0, 3, 1, 2),
                pixels.shape[1:],
            )
        if not parts.operations and not source:
            return images
        seed, epoch = self._random_state.tolist()
        if seed < 0:
            # Nobody has set the epoch, so draw from torch's global state, as
            # the steps of a single image do.
            seed, epoch = int(torch.randint(2**62, ())), 0
        return PlannedImages.draw(
            images, shape, parts.operations, seed, epoch, sample_ids, source
        )

    def keep_on_device(self, keep: Callable[[str, ImageStore], bool]) -> None:
        """Offer all images to the device of the model.

        Afterwards, batches of this data set have rows instead of images. Views,
        subsets and copies have images, because another model may read them.

        Args:
            keep (Callable): Function that gets a key, and the store of the images,
                which have one shape. It returns whether the device keeps them.
        """
        self.leave_device()
        recipe = self.parts.recipe
        stored = self._stores.get(recipe)
        if self.slow_reason is not None or stored is None or stored.store.shape is None:
            return
        key = f'{self.name} {id(self._resident)}'
        if keep(key, stored.store):
            self._resident[recipe] = key

    def leave_device(self) -> None:
        """Make batches with images again, which every model can read."""
        self._resident.clear()

    def _stack_samples(
        self, sample_ids: np.ndarray, indices: Sequence[int]
    ) -> SampleBatch:
        """Stack what the last step of the pipeline packs, except the images."""
        pack = self.parts.pack
        assert pack is not None  # There is no whole batch without it.
        arrays: Dict[str, Tensor] = {}
        meta: Dict[str, Any] = {}
        for key in pack.algorithm_keys:
            values = self._packed_values(key, sample_ids, indices)
            if isinstance(values, np.ndarray):
                arrays[key] = torch.from_numpy(values)
            elif values is not None:
                # For example texts, or arrays of different shapes.
                meta[key] = values
        for key in pack.meta_keys:
            if key == 'sample_id':
                meta[key] = torch.from_numpy(sample_ids)
            elif key == 'sample_idx':
                meta[key] = list(indices)
            else:
                paths = self.image_paths
                meta[key] = [paths[index] for index in indices]
        fields = dict(gt_label=torch.from_numpy(self._labels.of(sample_ids)))
        # Every pipeline packs soft labels.
        scores = self._packed_values('gt_score', sample_ids, indices)
        if scores is not None:
            fields['gt_score'] = torch.as_tensor(scores)
        return SampleBatch(fields, arrays, meta)

    def _packed_values(
        self, key: str, sample_ids: np.ndarray, indices: Sequence[int]
    ) -> Any:
        """Return a field of some samples.

        Args:
            key (str): Name of the field.
            sample_ids (np.ndarray): int64 (B,).
            indices (Sequence[int]): Their positions in this (sub)set.

        Returns:
            np.ndarray | list | None: An array (B, ...), or a list of B values that
            cannot be stacked. None if the samples do not have the field.
        """
        if key == 'gt_label_sets':
            return self._labels.sets_of(sample_ids)
        if key == 'gt_va':
            return None if self._va is None else self._va[sample_ids]
        try:
            values = list(self.stored_values(key, indices))
        except KeyError:
            return None
        shapes = {np.shape(v) if is_numeric(v) else None for v in values}
        return values if len(shapes) > 1 or None in shapes else np.stack(values)
