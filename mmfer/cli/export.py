"""Export a model: ``mmfer export MODEL --onnx FILE``."""

import argparse

from mmfer.apis.exporting import export_onnx
from mmfer.apis.exporting.metadata import ORDERS
from mmfer.apis.exporting.network import ExportError
from mmfer.apis.exporting.packages import require
from mmfer.apis.exporting.writing import check_target
from mmfer.apis.predictors import TorchPredictor
from mmfer.utils.checks import positive_int
from mmfer.utils.progress import Progress

from .common import run_tool


def run(args: argparse.Namespace) -> None:
    """Export a model, and show user errors without a traceback."""
    run_tool(lambda: export(args))


def export(args: argparse.Namespace) -> None:
    """Write an ONNX file, and say what it takes and returns.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.export`.

    Raises:
        ValueError: The model cannot be loaded or exported.
        ImportError: A package of the extra ``[onnx]`` is not installed.
        OSError: The file cannot be written.
    """
    images = positive_int('mmfer export', '--check-images', args.check_images)
    if args.model.lower().endswith('.onnx'):
        raise ValueError(f'{args.model}: this is an ONNX file already.')
    for package in ('onnx', 'onnxruntime'):
        require(package)
    check_target(args.onnx)
    size = None if args.image_size is None else tuple(args.image_size)
    predictor = TorchPredictor(
        args.model, args.checkpoint or True, 'cpu', image_size=size
    )
    print(f'exporting {args.model}, and comparing the file with torch ...', flush=True)
    progress = Progress('comparing with torch')
    try:
        done = export_onnx(predictor, args.onnx, int(images), progress)
    except ExportError as error:
        raise ValueError(f'{args.model} cannot be exported: {error}') from None
    channels, height, width = done.input_shape
    print(
        f'{done.path}: {done.bytes / 1e6:.1f} MB, opset {done.opset}\n'
        f'    in:  images, uint8 (B, {channels}, {height}, {width}), '
        f'{ORDERS[channels]}\n'
        f'    out: {", ".join(done.outputs)}\n'
        f'    largest difference from torch on {done.images} made images: '
        f'{done.difference:.1e}'
    )
