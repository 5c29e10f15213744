"""Classify faces in three lines of Python."""

import math
import numbers
import os
import os.path as osp
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
import torch
from mmcv.transforms import CenterCrop, Resize
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.model import BaseModel
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.utils import track

from mmfer.datasets.images import UnreadableImageError, read_image
from mmfer.datasets.transforms import PackFERInputs
from mmfer.models.predictions import predict_batch
from mmfer.registry import TRANSFORMS
from mmfer.utils.devices import choose_device
from mmfer.utils.text_tables import check_class_names, read_class_names

from .checkpoints import load_weights, read_work_dir
from .drawing import draw_results
from .faces import MARGIN, FaceDetector, NoFaceError, crop
from .hub import get_model, list_models
from .images import each_source, in_chunks

LOADERS = ('LoadFERImage', 'LoadImageFromFile')
RESIZERS = ('Resize', 'ResizeEdge')


class FERInferencer(ImageClassificationInferencer):
    """Expression, uncertainty, and valence and arousal, of faces.

    Example::

        from mmfer import FERInferencer
        fer = FERInferencer('work_dirs/alum_r18_synthfaces_noise30')
        fer('face.png')

    gives a list with a dict for each image::

        pred_label, pred_class, pred_score   the class: number, name, score
        pred_scores                          of all classes, (C, )
        uncertainty                          larger is less sure
        valence, arousal                     where the model has them
        rejected                             with ``reject_above``

    A model of valence and arousal alone gives no more than these two.

    Args:
        model (str | Config | BaseModel): The name of a model
            (:func:`list_models`), the work dir of a training, the path of a
            config, a config, or a model of :func:`get_model`.
        pretrained (bool | str): The checkpoint. True for the weights that
            are named with the model, or the last checkpoint of the work dir;
            False for none. Defaults to True.
        device (str | torch.device, optional): Defaults to the best one there
            is: a GPU, else the CPU.
        classes (str | Sequence[str], optional): Names of the classes in the
            order of the labels, or a file with a name on each line. By
            default those of the checkpoint or of the data set of the config.
        image_size (int | tuple[int, int], optional): (height, width) to
            which ready crops are brought before the pipeline. By default
            ``image_size`` of the config; not needed where the test pipeline
            resizes.
        **kwargs: Options of the model, which replace those of the config.

    Raises:
        ValueError: No model of this name, no weights, a checkpoint of
            another model, a device that cannot be used, as many names of
            classes as the model does not have, or a model that predicts no
            expressions.
        TypeError: Arguments of another type.
    """

    def __init__(
        self,
        model: Union[str, Config, BaseModel],
        pretrained: Union[bool, str] = True,
        device: Union[str, torch.device, None] = None,
        classes: Union[str, Sequence[str], None] = None,
        image_size: Union[int, Tuple[int, int], None] = None,
        **kwargs,
    ):
        model, pretrained = (
            os.fspath(given) if isinstance(given, os.PathLike) else given
            for given in (model, pretrained)
        )
        if not isinstance(model, (str, Config, BaseModel)):
            raise TypeError(
                'model must be a name, a work dir, a config or a model, got '
                f'{type(model).__name__}'
            )
        if not isinstance(pretrained, (bool, str)):
            raise TypeError(
                f'pretrained must be True, False or a checkpoint, got {pretrained!r}'
            )
        if pretrained == '':
            raise ValueError(
                "pretrained='' names no checkpoint; False is for "
                'a model without weights.'
            )
        device = choose_device(device)
        names = read_classes(classes)
        self.image_size = check_image_size(image_size)
        if isinstance(model, str) and osp.isdir(model):
            model, pretrained = read_work_dir(model, pretrained)
        if not isinstance(model, BaseModel):
            model = get_model(model, pretrained, **kwargs)
        elif isinstance(pretrained, str):
            load_weights(model, pretrained)
        if getattr(model, '_config', None) is None:
            raise ValueError(
                f'this {type(model).__name__} does not know its config, whose '
                'test pipeline is needed: make it by mmfer.get_model(config, '
                'checkpoint), or give config and checkpoint to FERInferencer.'
            )
        model.to(device)
        self.detector = None
        super().__init__(model, None, classes=names)
        self.check_outputs()

    def check_outputs(self) -> None:
        """Predict a blank image, so that what does not fit is said at once.

        Sets ``bounded``: whether uncertainties are one minus the largest
        probability, and so below 1.

        Raises:
            ValueError: The model predicts no expressions, or other classes
                than are named.
        """
        size = self.image_size or (224, 224)
        shape = size if self.color_type == 'grayscale' else (*size, 3)
        blank = np.zeros(shape, np.uint8)
        network = type(self.model).__name__
        # Models of other tasks fail in ways of their own.
        try:
            found = self.predict_batch(self.collate([self.fit(blank)]))
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f'FERInferencer: {network} of this config predicts nothing '
                f'for a blank image of {size[0]}x{size[1]} px '
                f'({type(error).__name__}: {reason}). It takes classifiers '
                'of images; give image_size if the model needs another '
                'one.'
            ) from error
        if not {'pred_score', 'pred_va'} & set(found):
            raise ValueError(
                f'FERInferencer: {network} of this config predicts neither '
                'classes nor valence and arousal. Give a classifier.'
            )
        self.bounded = False
        if 'pred_score' not in found:
            return
        self.bounded = 'uncertainty' not in found or bool(
            np.allclose(
                found['uncertainty'], 1 - found['pred_score'].max(axis=1), atol=1e-6
            )
        )
        outputs = found['pred_score'].shape[1]
        if self.classes is not None and len(self.classes) != outputs:
            some = ', '.join(map(str, self.classes[:3]))
            some += ', ...' if len(self.classes) > 3 else ''
            raise ValueError(
                f'{len(self.classes)} names of classes ({some}) for a model '
                f'of {outputs} classes: give classes=[...] with {outputs} '
                'names, in the order of the labels that it was trained on.'
            )

    # -- the steps of mmpretrain's inferencers -----------------------------
    def _init_pipeline(self, cfg: Config) -> Compose:
        pipeline = (cfg.get('test_dataloader') or {}).get('dataset', {}).get('pipeline')
        if not pipeline:
            raise ValueError(
                'FERInferencer: this config has no '
                'test_dataloader.dataset.pipeline, which says how images are '
                'prepared. If it is one of a classifier, set test_dataloader '
                '= val_dataloader in it.'
            )
        transforms = [dict(t) for t in pipeline]
        loader = transforms.pop(0) if transforms[0]['type'] in LOADERS else {}
        self.color_type = loader.get('color_type', 'color')
        if self.image_size is None and not any(
            t['type'] in RESIZERS for t in transforms
        ):
            self.image_size = cfg.get('image_size')
            if self.image_size is None:
                raise ValueError(
                    'FERInferencer: the test pipeline of this config does '
                    'not resize images, so their size must be known. Give '
                    'image_size=(height, width), that of the images it was '
                    'trained on, or set image_size in the config.'
                )
            self.image_size = check_image_size(self.image_size)
        pipeline = Compose([TRANSFORMS.build(t) for t in transforms])
        # Where all that is left to do is a resize and a crop, as with most
        # small faces, the crop is done for a whole batch at once, without a
        # dict and a data sample for each.
        self.window = None
        self.resize = None
        size, steps = self.image_size, list(pipeline.transforms)
        if (
            steps
            and type(steps[0]) is Resize
            and steps[0].scale is not None
            and not steps[0].keep_ratio
        ):
            # mmcv has (width, height).
            size, self.resize = steps[0].scale[::-1], steps.pop(0)
        if size is not None and [type(t) for t in steps] == [CenterCrop, PackFERInputs]:
            crop = steps[0].crop_size[::-1]
            start = [round((whole - part) / 2) for whole, part in zip(size, crop)]
            if min(start) >= 0:
                self.window = tuple(slice(s, s + part) for s, part in zip(start, crop))
        return pipeline

    def fit(self, image: np.ndarray) -> Union[dict, np.ndarray]:
        """What :meth:`collate` takes, of a face, uint8 in its channels."""
        if self.image_size is not None and image.shape[:2] != self.image_size:
            shrinks = image.shape[0] > self.image_size[0]
            image = cv2.resize(
                image,
                self.image_size[::-1],
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
            )
        else:
            # The next frame of a video may come in the same memory.
            image = image.copy()
        if self.window is not None:
            if self.resize is not None and image.shape[:2] != self.resize.scale[::-1]:
                image = self.resize(dict(img=image))['img']
            return image
        return self.pipeline(
            dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        )

    def collate(self, faces: list) -> dict:
        """A batch for the model, of what :meth:`fit` gives."""
        if self.window is None:
            return default_collate(faces)
        batch = np.stack([face[self.window] for face in faces])
        batch = batch[:, None] if batch.ndim == 3 else batch.transpose(0, 3, 1, 2)
        return dict(inputs=torch.from_numpy(np.ascontiguousarray(batch)))

    def prepare(
        self, source: Any, detect_faces: bool = False, margin: float = MARGIN
    ) -> Tuple[list, List[dict]]:
        """Faces for the model from an image of any kind.

        Args:
            source: See :func:`read_image`.
            detect_faces, margin: See :meth:`__call__`.

        Returns:
            tuple: Of each face what :meth:`collate` takes, and what is known
            of it before.

        Raises:
            NoFaceError: A face was looked for and not found.
        """
        image = read_image(source, self.color_type)
        if not detect_faces:
            return [self.fit(image)], [{}]
        if self.detector is None:
            self.detector = FaceDetector()
        faces = self.detector(image)
        if not faces:
            name = source if isinstance(source, (str, os.PathLike)) else 'the image'
            raise NoFaceError(
                f'{name}: no upright frontal face found. If the image is a '
                'face already, leave out detect_faces=True: then the whole '
                'image is classified.'
            )
        return [
            self.fit(np.ascontiguousarray(crop(image, face.box, margin)))
            for face in faces
        ], [dict(box=face.box, face_score=face.score) for face in faces]

    def __call__(
        self,
        inputs: Any,
        batch_size: int = 128,
        reject_above: Optional[float] = None,
        detect_faces: bool = False,
        margin: float = MARGIN,
        return_datasamples: bool = False,
        show_dir: Optional[str] = None,
        on_error: str = 'raise',
    ) -> list:
        """Classify images.

        Args:
            inputs: One image or several, see :func:`each_source`.
            batch_size (int): Images at a time. Defaults to 128.
            reject_above (float, optional): Predictions of a larger
                uncertainty are marked as ``rejected``, see
                :meth:`rejection_threshold`.
            detect_faces (bool): Images are photos, in which faces are looked
                for, see :class:`FaceDetector`. By default an image is a
                face.
            margin (float): Around a detected face, as a share of its box.
                Defaults to 0.05, which is that of FERPlus.
            return_datasamples (bool): Return mmpretrain's data samples.
                Defaults to False.
            show_dir (str, optional): Folder for pictures with the results.
            on_error (str): ``'raise'``; or ``'report'``: images that cannot
                be read have ``dict(error=...)`` as their result.

        Returns:
            list: A dict for each image, in order; see the class. With
            ``detect_faces`` a list of dicts for each image, from left to
            right, which have ``box``, (left, top, right, bottom) in pixels,
            and ``face_score``, too.
        """
        if show_dir is not None and return_datasamples:
            raise ValueError('show_dir draws dicts: leave out return_datasamples=True')
        batch_size = self.check_options(
            batch_size, reject_above, margin, return_datasamples, on_error
        )
        if show_dir is not None:
            make_folder(show_dir)
        sources = each_source(inputs)
        if show_dir is not None:
            # They are needed again to be drawn on.
            sources = list(sources)
        results = self.stream(
            sources,
            batch_size,
            reject_above,
            detect_faces,
            margin,
            return_datasamples,
            on_error,
        )
        if hasattr(sources, '__len__') and len(sources) > batch_size:
            results = track(results, 'Inference', total=len(sources))
        results = list(results)
        if show_dir is not None:
            self.write_pictures(sources, results, show_dir)
        return results

    def stream(
        self,
        inputs: Any,
        batch_size: int = 1,
        reject_above: Optional[float] = None,
        detect_faces: bool = False,
        margin: float = MARGIN,
        return_datasamples: bool = False,
        on_error: str = 'raise',
    ) -> Iterator:
        """Results one by one, as for the frames of a video.

        Args:
            inputs, batch_size, reject_above, detect_faces, margin,
                return_datasamples, on_error: See :meth:`__call__`. Results
                come after every ``batch_size`` images, by default after
                each.
        """
        # Not in the generator, which begins with the first result.
        batch_size = self.check_options(
            batch_size, reject_above, margin, return_datasamples, on_error
        )
        return self.generate(
            each_source(inputs),
            batch_size,
            reject_above,
            detect_faces,
            margin,
            return_datasamples,
            on_error,
        )

    def check_options(
        self,
        batch_size: int,
        reject_above: Optional[float],
        margin: float,
        return_datasamples: bool,
        on_error: str,
    ) -> int:
        """Check options of :meth:`__call__` before the first image.

        Returns:
            int: ``batch_size``.

        Raises:
            ValueError: One has no meaning; names it, and what is right.
        """
        if on_error not in ('raise', 'report'):
            raise ValueError(f"on_error must be 'raise' or 'report', got {on_error!r}")
        if (
            isinstance(batch_size, bool)
            or not isinstance(batch_size, numbers.Integral)
            or batch_size < 1
        ):
            raise ValueError(
                f'batch_size must be a whole number and at least 1, got {batch_size!r}'
            )
        # Half of a box on each side would leave nothing of it.
        if not is_number(margin) or not -0.5 < margin < math.inf:
            raise ValueError(
                'margin must be a share of the box of a face, '
                f'such as 0.05, got {margin!r}'
            )
        if reject_above is None:
            return int(batch_size)
        if return_datasamples:
            raise ValueError(
                'reject_above marks dicts: leave out return_datasamples=True'
            )
        above = 1 if self.bounded else math.inf
        if not is_number(reject_above) or not 0 < reject_above < above:
            raise ValueError(
                f'reject_above must lie in (0, {above}), got '
                f'{reject_above!r}: uncertainties of this model are '
                + (
                    'one minus the largest probability. '
                    if self.bounded
                    else 'positive numbers. '
                )
                + 'rejection_threshold(target_error) finds one.'
            )
        return int(batch_size)

    def generate(
        self,
        sources: Iterable,
        batch_size: int,
        reject_above: Optional[float],
        detect_faces: bool,
        margin: float,
        return_datasamples: bool,
        on_error: str,
    ) -> Iterator:
        """Yield the results of :meth:`stream`, whose options are checked."""
        for chunk in in_chunks(sources, batch_size):
            ready, before = [], []
            for source in chunk:
                try:
                    samples, known = self.prepare(source, detect_faces, margin)
                    ready.extend(samples)
                    before.append(known)
                except (UnreadableImageError, TypeError, ValueError) as error:
                    if on_error == 'raise':
                        raise
                    before.append(dict(error=str(error)))
            predictions = iter(())
            if ready:
                batch = self.collate(ready)
                predictions = iter(
                    self.forward(batch)
                    if return_datasamples
                    else self.describe(self.predict_batch(batch), reject_above)
                )
            for known in before:
                if isinstance(known, dict):
                    yield known
                    continue
                results = [next(predictions) for _ in known]
                if not return_datasamples:
                    results = [
                        dict(result, **more)
                        for result, more in zip(results, known, strict=True)
                    ]
                yield results if detect_faces else results[0]

    @torch.inference_mode()
    def predict_batch(self, batch: dict) -> Dict[str, np.ndarray]:
        """Predictions by their names, (B, ...).

        They are read from the model as tensors: a data sample for each image
        costs more than all else beside the model.

        Args:
            batch (dict): See :meth:`collate`.
        """
        inputs = self.model.data_preprocessor(batch)['inputs']
        return {
            name: values.float().cpu().numpy()
            for name, values in predict_batch(self.model, inputs).items()
        }

    def describe(
        self, predictions: Dict[str, np.ndarray], reject_above: Optional[float] = None
    ) -> List[dict]:
        """The results of a batch, a dict for each image.

        Args:
            predictions (dict[str, ndarray]): See :meth:`predict_batch`.
            reject_above (float, optional): See :meth:`__call__`.
        """
        if 'pred_score' not in predictions:
            if reject_above is not None:
                raise ValueError(
                    'reject_above: this model predicts valence and arousal '
                    'only, without an uncertainty. Leave reject_above out.'
                )
            return [
                dict(valence=valence, arousal=arousal)
                for valence, arousal in predictions['pred_va'].tolist()
            ]
        scores = predictions['pred_score']
        labels = scores.argmax(axis=1).tolist()
        best = scores.max(axis=1).tolist()
        # Classifiers of mmpretrain have none of their own.
        uncertainties = (
            predictions['uncertainty'].tolist()
            if 'uncertainty' in predictions
            else [1 - score for score in best]
        )
        results = []
        for label, score, row, uncertainty in zip(
            labels, best, scores, uncertainties, strict=True
        ):
            result = dict(pred_label=label, pred_score=score)
            if self.classes is not None:
                result['pred_class'] = self.classes[label]
            result.update(pred_scores=row, uncertainty=uncertainty)
            results.append(result)
        if 'pred_va' in predictions:
            for result, values in zip(
                results, predictions['pred_va'].tolist(), strict=True
            ):
                result['valence'], result['arousal'] = values
        if reject_above is not None:
            for result in results:
                result['rejected'] = result['uncertainty'] > reject_above
        return results

    def rejection_threshold(self, target_error: float) -> float:
        """Above which uncertainty to reject, for few errors in the rest.

        Found on images that were held out from the training, when the
        checkpoint was published, see
        ``tools/model_converters/publish_model.py``. It holds for images like
        those.

        Args:
            target_error (float): Largest share of wrong predictions among
                those that are not rejected, in (0, 1).

        Returns:
            float: For ``reject_above``.

        Raises:
            ValueError: ``target_error`` is not in (0, 1), the checkpoint has
                no thresholds, or no part of the images has so few errors.
        """
        if not is_number(target_error) or not 0 < target_error < 1:
            raise ValueError(
                'target_error must be a share of errors in (0, 1), such as '
                f'0.05 for 5 %, got {target_error!r}'
            )
        table = getattr(self.model, 'rejection', None)
        if not table:
            raise ValueError(
                'this checkpoint comes without thresholds. Find them on '
                'images held out from its training: python '
                'tools/model_converters/publish_model.py CONFIG CHECKPOINT '
                'OUT --held-out NUMBER'
            )
        # Those of errors that are no more than wanted.
        rows = [
            row
            for row in table['thresholds']
            if row[0] <= target_error + 1e-9 and row[2] > 0
        ]
        if not rows:
            lowest = min((r[0] for r in table['thresholds'] if r[2] > 0), default=None)
            raise ValueError(
                f'no threshold keeps the error at {target_error:.1%}: among '
                f'{table["images"]} held-out images '
                + (
                    'none does.'
                    if lowest is None
                    else f'the lowest that was reached is {lowest:.1%}.'
                )
            )
        # Where nothing is uncertain, zero; reject_above is positive.
        return max(float(max(rows)[1]), sys.float_info.min)

    def write_pictures(self, sources: list, results: list, show_dir: str) -> None:
        """Draw results on images, and write them as PNG files.

        Args:
            sources (list): The images.
            results (list[dict]): Their results.
            show_dir (str): Folder; files are numbered, and named after the
                images' files.
        """
        make_folder(show_dir)
        for number, (source, result) in enumerate(zip(sources, results, strict=True)):
            if isinstance(result, dict):
                if 'error' in result:
                    continue
                result = [result]
            name = (
                Path(source).stem if isinstance(source, (str, os.PathLike)) else 'image'
            )
            picture = draw_results(read_image(source), result)
            path = osp.join(show_dir, f'{number:05d}_{name}.png')
            if not cv2.imwrite(path, picture):
                raise OSError(f'{path} could not be written.')

    @staticmethod
    def list_models(pattern: Optional[str] = None) -> List[str]:
        """Names of our models that come with weights."""
        return list_models(pattern, weights=True)


def read_classes(
    classes: Union[str, os.PathLike, Sequence[str], None],
) -> Optional[List[str]]:
    """Names of classes from a file or a sequence.

    Raises:
        ValueError: A name is empty or occurs twice, or the file cannot be
            read.
        TypeError: Names come in no order, or not as text.
    """
    if classes is None:
        return None
    if isinstance(classes, (str, os.PathLike)):
        try:
            return read_class_names(classes)
        except OSError as error:
            raise ValueError(
                f'classes={os.fspath(classes)!r}: there is no such file of '
                f'class names ({error.strerror or error}). Give a file with '
                'a name on each line, or a list of names.'
            ) from error
    if not isinstance(classes, (list, tuple, np.ndarray)):
        raise TypeError(
            'classes must be a list of names in the order of the labels, or '
            f'a file with a name on each line, got {type(classes).__name__}'
        )
    return check_class_names(
        [name.item() if isinstance(name, np.generic) else name for name in classes]
    )


def check_image_size(size) -> Optional[Tuple[int, int]]:
    """(height, width) of a number or a pair.

    Raises:
        ValueError: It is neither, or not positive.
    """
    if size is None:
        return None
    pair = (size, size) if isinstance(size, numbers.Integral) else size
    if (
        not isinstance(pair, (list, tuple))
        or len(pair) != 2
        or not all(
            isinstance(side, numbers.Integral)
            and side > 0
            and not isinstance(side, bool)
            for side in pair
        )
    ):
        raise ValueError(
            f'image_size must be a number of pixels, or (height, width), got {size!r}'
        )
    return int(pair[0]), int(pair[1])


def is_number(value) -> bool:
    """Return whether a value is a real number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def make_folder(path: str) -> None:
    """Make a folder for pictures.

    Raises:
        ValueError: It cannot be made, as where a file is.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f'show_dir={os.fspath(path)!r} cannot be a folder '
            f'({error.strerror}). Name another one.'
        ) from error
