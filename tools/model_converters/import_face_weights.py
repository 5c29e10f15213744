"""Convert face-recognition weights to the format that the configs load.

    python tools/model_converters/import_face_weights.py SRC DST

``SRC`` is a torch file with a state dict or with a checkpoint that has a
``state_dict``, or a pickle of numpy arrays. Prefixes such as ``module.`` before the
names are removed. The names tell the network:

- ResNet of torchvision (give ``--depth``), such as the MS-Celeb ResNet-18 of RUL, SCN,
  ReSup and ALUM, or VGGFace2's ``resnet50_ft_weight.pkl``
- IResNet (ArcFace) of InsightFace's ``arcface_torch``
- IR and IR-SE networks of face.evoLVe and InsightFace_Pytorch
- MobileFaceNet of InsightFace_Pytorch and of ``arcface_torch``

``mmfer train CONFIG --init DST`` starts from the result. The file is written only if
all weights of the backbone match: else a run would start from random ones unnoticed.
"""

import argparse
import hashlib
import os
import os.path as osp
import sys
from typing import Any, Dict, List, Optional

from mmfer.apis.face_layouts import IMAGE_SIZE, preparation
from mmfer.apis.face_weights import (
    convert,
    describe_config,
    explain_mismatch,
    extract_state_dict,
    load_arrays,
    load_torch,
    match_layout,
    reference_shapes,
    weights_file,
)
from mmfer.utils.files import write_atomic
from mmfer.utils.safe_pickle import is_torch_file, read_bytes

CAFFE_NOTE = (
    "Note: VGGFace2's published ResNet-50 comes from Caffe, with the stride in the "
    'first 1x1 convolution of a block. Its backbone is '
    "dict(type='ResNet', depth=50, style='caffe')."
)


def import_weights(args: argparse.Namespace) -> None:
    """Read the weights, match them, report, and write them."""
    if not osp.isfile(args.src):
        raise ValueError(
            'there is no such file. Download the weights from their publisher first.'
        )
    if osp.exists(args.dst) and osp.samefile(args.src, args.dst):
        raise ValueError('it would overwrite itself: choose another DST.')
    data = read_bytes(args.src)
    torch_file = is_torch_file(data)
    state_dict = extract_state_dict(
        load_torch(data, args.trust_checkpoint) if torch_file else load_arrays(data)
    )
    backbone: Dict[str, Any] = dict(type=args.backbone_type, depth=args.depth)
    meta: Dict[str, Any] = dict(backbone=args.backbone_type, depth=args.depth)
    found = match_layout(state_dict, args.prefix)
    prepared: Dict[str, Any] = {}
    notes: List[str] = []
    if found is not None:
        layout, report = found
        print(f'layout:         {layout.name}')
        order = args.channel_order and args.channel_order == 'rgb'
        prepared, backbone = preparation(layout, order), layout.backbone
        meta = dict(backbone_cfg=backbone, image_size=IMAGE_SIZE, **prepared)
        notes += [layout.note] * bool(layout.note and args.channel_order is None)
    else:
        reference = reference_shapes(args.backbone_type, args.depth)
        report = convert(state_dict, reference, args.prefix)
        if not torch_file and 'layer1.0.conv3.weight' in reference:
            # Both kinds of bottleneck have the same names and shapes.
            notes.append(CAFFE_NOTE)
    print(report)
    if not report.ok:
        raise ValueError(explain_mismatch(report, state_dict, args.depth))
    meta.update(
        source=osp.basename(args.src), source_sha256=hashlib.sha256(data).hexdigest()
    )
    write_atomic(args.dst, weights_file(report, **meta))
    print(f'written:        {args.dst}')
    if found is not None:
        print(f'\n{describe_config(args.dst, backbone, prepared)}\n')
    print('\n'.join([f'Start from it: mmfer train CONFIG --init {args.dst}', *notes]))


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Import face-recognition weights')
    add = parser.add_argument
    add('src', metavar='SRC', help='the published file')
    add('dst', metavar='DST', help='file to write, as named by the configs')
    add('--depth', type=int, default=18, help="depth of torchvision's ResNet")
    add('--backbone-type', default='ResNet', help='its class, for such a ResNet')
    add('--prefix', help="prefix of the backbone's names, with its dot, if unusual")
    add('--channel-order', choices=['rgb', 'bgr'], help="default: the layout's")
    help_text = 'load a torch file that torch refuses to load safely; it can run code'
    add('--trust-checkpoint', action='store_true', help=help_text)
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    try:
        import_weights(args)
    except (ValueError, OSError) as error:
        sys.stdout.flush()
        raise SystemExit(
            f'{args.src}: {error}{os.linesep}Nothing was written.'
        ) from None


if __name__ == '__main__':
    main()
