"""Classify faces in three lines of Python."""
import os
import os.path as osp
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

import cv2
import numpy as np
import torch
from mmcv.transforms import CenterCrop
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.model import BaseModel
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.utils import track

from mmfer.datasets.images import UnreadableImageError, read_image
from mmfer.datasets.transforms import PackFERInputs
from mmfer.models.predictions import predict_batch
from mmfer.registry import TRANSFORMS

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
        device (str | torch.device, optional): Defaults to a GPU if there is
            one, else the CPU.
        classes (Sequence[str], optional): Names of the classes. By default
            those of the checkpoint or of the data set of the config.
        image_size (int | tuple[int, int], optional): (height, width) to
            which ready crops are brought before the pipeline. By default
            ``image_size`` of the config; not needed where the test pipeline
            resizes.
        **kwargs: Options of the model, which replace those of the config.

    Raises:
        ValueError: No model of this name, no weights, or a checkpoint of
            another model.
    """

    def __init__(self,
                 model: Union[str, Config, BaseModel],
                 pretrained: Union[bool, str] = True,
                 device: Union[str, torch.device, None] = None,
                 classes: Optional[Iterable[str]] = None,
                 image_size=None,
                 **kwargs):
        model, pretrained = (
            os.fspath(given) if isinstance(given, os.PathLike) else given
            for given in (model, pretrained))
        if not isinstance(pretrained, (bool, str)):
            raise TypeError('pretrained must be True, False or a checkpoint, '
                            f'got {pretrained!r}')
        if isinstance(model, str) and osp.isdir(model):
            model, pretrained = read_work_dir(model, pretrained)
        if not isinstance(model, BaseModel):
            model = get_model(model, pretrained, **kwargs)
        elif isinstance(pretrained, str):
            load_weights(model, pretrained)
        if device is None:
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        model.to(device)
        self.image_size = image_size
        self.detector = None
        super().__init__(model, None, classes=classes)

    # -- the steps of mmpretrain's inferencers -----------------------------
    def _init_pipeline(self, cfg: Config) -> Compose:
        transforms = [dict(t) for t in cfg.test_dataloader.dataset.pipeline]
        loader = transforms.pop(0) if transforms[0]['type'] in LOADERS else {}
        self.color_type = loader.get('color_type', 'color')
        if self.image_size is None and not any(
                t['type'] in RESIZERS for t in transforms):
            self.image_size = cfg.get('image_size')
            if self.image_size is None:
                raise ValueError(
                    'FERInferencer: the test pipeline of this config does '
                    'not resize images, so their size must be known. Give '
                    'image_size=(height, width), that of the images it was '
                    'trained on, or set image_size in the config.')
        if self.image_size is not None:
            size = self.image_size
            self.image_size = (size, size) if isinstance(size, int) \
                else tuple(size)
        pipeline = Compose([TRANSFORMS.build(t) for t in transforms])
        # Where all that is left to do is a crop, as with most small faces, it
        # is done for a whole batch at once, without a dict and a data sample
        # for each.
        self.window = None
        if self.image_size is not None and \
                [type(t) for t in pipeline.transforms] == [
                    CenterCrop, PackFERInputs]:
            # mmcv has (width, height).
            crop = pipeline.transforms[0].crop_size[::-1]
            start = [round((whole - part) / 2)
                     for whole, part in zip(self.image_size, crop)]
            if min(start) >= 0:
                self.window = tuple(
                    slice(s, s + part) for s, part in zip(start, crop))
        return pipeline

    def fit(self, image: np.ndarray) -> Union[dict, np.ndarray]:
        """What :meth:`collate` takes, of a face, uint8 in its channels."""
        if self.image_size is not None and \
                image.shape[:2] != self.image_size:
            shrinks = image.shape[0] > self.image_size[0]
            image = cv2.resize(
                image, self.image_size[::-1],
                interpolation=cv2.INTER_AREA if shrinks else
                cv2.INTER_LINEAR)
        else:
            # The next frame of a video may come in the same memory.
            image = image.copy()
        if self.window is not None:
            return image
        return self.pipeline(
            dict(
                img=image,
                img_shape=image.shape[:2],
                ori_shape=image.shape[:2]))

    def collate(self, faces: list) -> dict:
        """A batch for the model, of what :meth:`fit` gives."""
        if self.window is None:
            return default_collate(faces)
        batch = np.stack([face[self.window] for face in faces])
        batch = batch[:, None] if batch.ndim == 3 else \
            batch.transpose(0, 3, 1, 2)
        return dict(inputs=torch.from_numpy(np.ascontiguousarray(batch)))

    def prepare(self, source: Any, detect_faces: bool = False,
                margin: float = MARGIN) -> Tuple[list, List[dict]]:
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
            name = source if isinstance(source, (str, os.PathLike)) \
                else 'the image'
            raise NoFaceError(
                f'{name}: no upright frontal face found. If the image is a '
                'face already, leave out detect_faces=True: then the whole '
                'image is classified.')
        return [
            self.fit(np.ascontiguousarray(crop(image, face.box, margin)))
            for face in faces
        ], [dict(box=face.box, face_score=face.score) for face in faces]

    def __call__(self,
                 inputs: Any,
                 batch_size: int = 128,
                 reject_above: Optional[float] = None,
                 detect_faces: bool = False,
                 margin: float = MARGIN,
                 return_datasamples: bool = False,
                 show_dir: Optional[str] = None,
                 on_error: str = 'raise') -> list:
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
            raise ValueError('show_dir draws dicts: leave out '
                             'return_datasamples=True')
        sources = each_source(inputs)
        if show_dir is not None:
            # They are needed again to be drawn on.
            sources = list(sources)
        results = self.stream(sources, batch_size, reject_above,
                              detect_faces, margin, return_datasamples,
                              on_error)
        if hasattr(sources, '__len__') and len(sources) > batch_size:
            results = track(results, 'Inference', total=len(sources))
        results = list(results)
        if show_dir is not None:
            self.write_pictures(sources, results, show_dir)
        return results

    def stream(self,
               inputs: Any,
               batch_size: int = 1,
               reject_above: Optional[float] = None,
               detect_faces: bool = False,
               margin: float = MARGIN,
               return_datasamples: bool = False,
               on_error: str = 'raise') -> Iterator:
        """Results one by one, as for the frames of a video.

        Args:
            inputs, batch_size, reject_above, detect_faces, margin,
                return_datasamples, on_error: See :meth:`__call__`. Results
                come after every ``batch_size`` images, by default after
                each.
        """
        if on_error not in ('raise', 'report'):
            raise ValueError("on_error must be 'raise' or 'report', got "
                             f'{on_error!r}')
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got '
                             f'{batch_size}')
        for chunk in in_chunks(each_source(inputs), batch_size):
            ready, before = [], []
            for source in chunk:
                try:
                    samples, known = self.prepare(source, detect_faces,
                                                  margin)
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
                    self.forward(batch) if return_datasamples else
                    self.describe(self.predict_batch(batch), reject_above))
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

    def describe(self, predictions: Dict[str, np.ndarray],
                 reject_above: Optional[float] = None) -> List[dict]:
        """The results of a batch, a dict for each image.

        Args:
            predictions (dict[str, ndarray]): See :meth:`predict_batch`.
            reject_above (float, optional): See :meth:`__call__`.
        """
        if 'pred_score' not in predictions:
            if reject_above is not None:
                raise ValueError(
                    'reject_above: this model predicts valence and arousal '
                    'only, without an uncertainty. Leave reject_above out.')
            return [
                dict(valence=valence, arousal=arousal)
                for valence, arousal in predictions['pred_va'].tolist()
            ]
        scores = predictions['pred_score']
        labels = scores.argmax(axis=1).tolist()
        best = scores.max(axis=1).tolist()
        # Classifiers of mmpretrain have none of their own.
        uncertainties = predictions['uncertainty'].tolist() \
            if 'uncertainty' in predictions else [1 - score for score in best]
        results = []
        for label, score, row, uncertainty in zip(
                labels, best, scores, uncertainties, strict=True):
            result = dict(pred_label=label, pred_score=score)
            if self.classes is not None:
                result['pred_class'] = self.classes[label]
            result.update(pred_scores=row, uncertainty=uncertainty)
            results.append(result)
        if 'pred_va' in predictions:
            for result, values in zip(results,
                                      predictions['pred_va'].tolist(),
                                      strict=True):
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
            ValueError: The checkpoint has no thresholds, or no part of the
                images has so few errors.
        """
        table = getattr(self.model, 'rejection', None)
        if not table:
            raise ValueError(
                'this checkpoint comes without thresholds. Find them on '
                'images held out from its training: python '
                'tools/model_converters/publish_model.py CONFIG CHECKPOINT '
                'OUT --held-out NUMBER')
        # Those of errors that are no more than wanted.
        rows = [row for row in table['thresholds']
                if row[0] <= target_error + 1e-9 and row[2] > 0]
        if not rows:
            lowest = min((r[0] for r in table['thresholds'] if r[2] > 0),
                         default=None)
            raise ValueError(
                f'no threshold keeps the error at {target_error:.1%}: among '
                f'{table["images"]} held-out images ' +
                ('none does.' if lowest is None else
                 f'the lowest that was reached is {lowest:.1%}.'))
        return float(max(rows)[1])

    def write_pictures(self, sources: list, results: list,
                       show_dir: str) -> None:
        """Draw results on images, and write them as PNG files.

        Args:
            sources (list): The images.
            results (list[dict]): Their results.
            show_dir (str): Folder; files are numbered, and named after the
                images' files.
        """
        os.makedirs(show_dir, exist_ok=True)
        for number, (source, result) in enumerate(
                zip(sources, results, strict=True)):
            if isinstance(result, dict):
                if 'error' in result:
                    continue
                result = [result]
            name = Path(source).stem if isinstance(
                source, (str, os.PathLike)) else 'image'
            picture = draw_results(read_image(source), result)
            path = osp.join(show_dir, f'{number:05d}_{name}.png')
            if not cv2.imwrite(path, picture):
                raise OSError(f'{path} could not be written.')

    @staticmethod
    def list_models(pattern: Optional[str] = None) -> List[str]:
        """Names of our models that come with weights."""
        return list_models(pattern, weights=True)
