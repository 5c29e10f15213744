"""Readers of binary files: pickles, checkpoints, stored results and images."""

import gzip
import io
import pickle
import shutil
from collections import OrderedDict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import torch
from fuzzing.harness import Reader
from hypothesis import strategies as st

from mmfer import FERInferencer
from mmfer.analysis.predictions import read_predictions
from mmfer.apis import face_weights
from mmfer.apis.checkpoints import read_checkpoint
from mmfer.apis.exporting.metadata import Metadata
from mmfer.datasets.cifar.files import read_batch
from mmfer.datasets.cifar.human_labels import load_label_sets
from mmfer.datasets.idx import read_idx
from mmfer.engine.weight_sources import find_source
from mmfer.utils.checkpoint_content import inspect_checkpoint
from mmfer.utils.safe_pickle import is_torch_file

LABELS = [3, 0, 9]


def saved(value: Any, **options: Any) -> bytes:
    """Return a file of torch."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def batches() -> List[bytes]:
    """Return CIFAR batches as several versions of Python pickle them."""
    pixels = np.arange(3 * 3072, dtype=np.uint8).reshape(3, 3072)
    content = dict(data=pixels, labels=LABELS, batch_label='a', filenames=['x'] * 3)
    return [pickle.dumps(content, protocol=n) for n in (0, 2, 4, 5)]


def idx_files() -> List[bytes]:
    """Return the images and labels of MNIST, compressed and not."""
    files = [bytes([0, 0, 8, 1, 0, 0, 0, 3, *LABELS])]
    files.append(bytes([0, 0, 8, 3, *[0, 0, 0, 2] * 3, *range(8)]))
    return files + [gzip.compress(data) for data in files]


def check_array(found: Any) -> None:
    """Check an array of bytes."""
    assert found.dtype == np.uint8 and found.ndim


def human_labels() -> List[bytes]:
    """Return label sets as CIFAR-N publishes them."""
    sets = dict(clean_label=np.array(LABELS), worse_label=np.array(LABELS[::-1]))
    return [saved(sets), saved(sets, _use_new_zipfile_serialization=False)]


def checkpoints() -> List[bytes]:
    """Return small checkpoints of both formats of torch."""
    weights = OrderedDict({'a.weight': torch.ones(2, 3), 'a.bias': torch.zeros(2)})
    content = dict(
        state_dict=weights,
        meta=dict(epoch=3, dataset_meta=dict(classes=['x', 'y']), rejection=None),
    )
    return [saved(content), saved(content, _use_new_zipfile_serialization=False)]


def arrays() -> List[bytes]:
    """Return face weights as pickles of arrays."""
    content = {'conv1.weight': np.ones((2, 3), np.float32), 'fc.bias': np.zeros(2)}
    return [pickle.dumps(content, protocol=n) for n in (0, 2, 4)]


def npz(**given: Any) -> bytes:
    """Return a ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **given)
    return buffer.getvalue()


def from_bytes(read: Callable[[bytes], Any]) -> Callable[[str], Any]:
    """Return a reader of a path, as the tools read these files."""

    def named(path: str) -> Any:
        try:
            return read(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None

    return named


def read_weights(data: bytes) -> Any:
    """Read published weights of faces as the import tool does."""
    if is_torch_file(data):
        content = face_weights.load_torch(data, trust=False)
    else:
        content = face_weights.load_arrays(data)
    return face_weights.extract_state_dict(content)


def face_networks() -> List[bytes]:
    """Return weights of a face network, as the import tool writes and reads them."""
    network = dict(type='MobileFaceNet', scale=1, blocks=[1, 1, 1, 1])
    meta = dict(backbone_cfg=network, mean=[1.0] * 3, std=[2.0] * 3, to_rgb=True)
    names = ('layer1.0.prelu.weight', 'layer1.0.bn3.weight', 'prelu.weight')
    weights = {name: torch.ones(4) for name in names}
    return [saved(dict(state_dict=weights, meta=meta)), saved(weights)]


def start(path: str) -> Any:
    """Read weights to start from; objects of Python are refused by another error."""
    try:
        return find_source(path)
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from None


def check_source(found: Any) -> None:
    """Check that a source has tensors, and numbers where they are expected."""
    assert found.shapes and len(found.sha256) == 64
    assert len(found.preparation.mean) == len(found.preparation.std)
    assert found.backbone is None or found.backbone['type'] == 'MobileFaceNet'


def predicted(path: str) -> Any:
    """Read predictions, and their derived columns."""
    target = Path(path).with_suffix('.npz')
    if str(target) != path:
        shutil.copyfile(path, target)
    found = read_predictions(str(target))
    return found.predicted, found.correct, found.confidence


def check_batch(found: Any) -> None:
    """Check that labels are integers, one for each image."""
    labels, pixels = found
    assert labels.dtype == np.int64 and labels.ndim == 1
    assert pixels.dtype == np.uint8 and pixels.shape == (len(labels), 3072)


@lru_cache(maxsize=1)
def exported() -> bytes:
    """Return a small exported model: the mean of an image decides."""
    import onnx

    helper, kinds = onnx.helper, onnx.TensorProto
    weights = np.array([[1, -1, 0]], np.float32)
    axes = np.array([2, 3])
    nodes = [
        helper.make_node('Cast', ['images'], ['x'], to=kinds.FLOAT),
        helper.make_node('ReduceMean', ['x', 'axes'], ['mean'], keepdims=0),
        helper.make_node('MatMul', ['mean', 'weights'], ['logits']),
        helper.make_node('Softmax', ['logits'], ['probabilities'], axis=1),
        helper.make_node('ReduceMax', ['probabilities', 'one'], ['p'], keepdims=0),
        helper.make_node('Neg', ['p'], ['uncertainty']),
    ]
    graph = helper.make_graph(
        nodes,
        'graph',
        [helper.make_tensor_value_info('images', kinds.UINT8, ['batch', 1, 8, 9])],
        [
            helper.make_tensor_value_info('probabilities', kinds.FLOAT, ['batch', 3]),
            helper.make_tensor_value_info('uncertainty', kinds.FLOAT, ['batch']),
        ],
        [
            onnx.numpy_helper.from_array(array, name)
            for name, array in (
                ('axes', axes),
                ('weights', weights),
                ('one', np.array([1])),
            )
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8
    )
    quantiles = [[1, 0.1], [2, 0.5]]
    metadata = Metadata(
        (1, 8, 9),
        [dict(type='CenterCrop', crop_size=[9, 8])],
        ['a', 'b', 'c'],
        18,
        dict(temperature=1.0, images=2, uncertainty='own', quantiles=quantiles),
        dict(images=2, error=0.5, thresholds=[[0.1, 0.2, 0.5]]),
    )
    helper.set_model_props(model, metadata.entries())
    return model.SerializeToString()


def predict_exported(path: str) -> Any:
    """Predict three images with an exported model."""
    fer = FERInferencer(path, device='cpu', workers=0)
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 20), np.uint8)
    return fer(list(images))


def check_predictions(found: Any) -> None:
    """Check that each image has a result."""
    assert len(found) == 3 and all('pred_scores' in result for result in found)


def check_sets(found: Any) -> None:
    """Check that sets of labels are integers."""
    for labels in found.values():
        assert labels.dtype == np.int64 and labels.ndim == 1


def check_tensors(found: Any) -> None:
    """Check that weights are tensors that can be read."""
    for tensor in found.values():
        assert isinstance(tensor, torch.Tensor)
        tensor.float().sum()


def check_whole(found: Any) -> None:
    """Check that a file of torch with checksums has the weights that were saved."""
    content, problem = found
    assert (content is None) == (problem is not None)


def binary_readers() -> List[Reader]:
    """Return the readers of pickles, checkpoints and predictions."""
    predictions = npz(
        pred_score=np.full((3, 10), 0.1, np.float32),
        gt_label=np.array(LABELS),
        uncertainty=np.zeros(3),
        img_path=np.array(['a.jpg', 'b.jpg', '']),
        sample_id=np.arange(3),
        classes=np.array([str(i) for i in range(10)]),
    )

    def reader(name: str, read: Any, files: List[bytes], *rest: Any) -> Reader:
        return Reader(name, read, st.sampled_from(files), *rest, text=False)

    exported_model = Reader(
        'exported model',
        predict_exported,
        st.builds(exported),
        '.onnx',
        text=False,
        check=check_predictions,
        # An error of the graph may come when it runs.
        names_file=False,
    )
    batch = reader('CIFAR batch', lambda p: read_batch(p, 'labels'), batches(), '.bin')
    return [
        Reader(**{**vars(batch), 'check': check_batch}),
        Reader(
            'IDX file of MNIST',
            read_idx,
            st.sampled_from(idx_files()),
            '.gz',
            text=False,
            check=check_array,
        ),
        Reader(
            'label sets of CIFAR-N',
            from_bytes(load_label_sets),
            st.sampled_from(human_labels()),
            '.pt',
            text=False,
            check=check_sets,
        ),
        Reader(
            'face weights',
            from_bytes(read_weights),
            st.sampled_from(arrays() + checkpoints()),
            '.pkl',
            text=False,
            check=check_tensors,
        ),
        Reader(
            'weights to start from',
            start,
            st.sampled_from(face_networks() + checkpoints()),
            '.pth',
            text=False,
            check=check_source,
        ),
        reader('checkpoint', read_checkpoint, checkpoints(), '.pth'),
        Reader(
            'check of a checkpoint',
            inspect_checkpoint,
            st.sampled_from(checkpoints()),
            '.pth',
            text=False,
            check=check_whole,
        ),
        reader('predictions', predicted, [predictions], '.npz'),
        *([exported_model] if find_spec('onnxruntime') else []),
    ]
