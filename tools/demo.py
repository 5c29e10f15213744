"""Recognise the expressions of faces, with an uncertainty; works offline.

    python tools/demo.py face.png
    python tools/demo.py photo.jpg --detect-faces

IMAGE is a file or a folder of files. Each image must show one face, unless
``--detect-faces`` finds the faces in it (``pip install mmfer[face]``). Pictures
with the results are written to ``--out``.
"""

import argparse

from mmfer.apis import FERInferencer
from mmfer.apis.drawing import describe_result
from mmfer.apis.images import each_source
from mmfer.cli import run_tool
from mmfer.utils.devices import add_device_argument


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('image', help='file, or folder of files')
    parser.add_argument(
        '--model',
        default='alum_tiny_ferplus',
        help='name in mmfer.list_models(), work dir, or config '
        '(default: alum_tiny_ferplus)',
    )
    parser.add_argument('--checkpoint', help="weights (default: the model's own)")
    parser.add_argument(
        '--detect-faces', action='store_true', help='find the faces in the images'
    )
    parser.add_argument(
        '--target-error',
        type=float,
        metavar='PERCENT',
        help='reject uncertain predictions, so that at most this share of the '
        'others is wrong',
    )
    parser.add_argument(
        '--out', default='demo', help='folder of the pictures (default: demo)'
    )
    add_device_argument(parser)
    args = parser.parse_args()
    sources = list(each_source(args.image))
    fer = FERInferencer(args.model, args.checkpoint or True, args.device)
    threshold = (
        None
        if args.target_error is None
        else fer.rejection_threshold(args.target_error / 100)
    )
    results = fer(
        sources,
        reject_above=threshold,
        detect_faces=args.detect_faces,
        show_dir=args.out,
        on_error='raise' if len(sources) == 1 else 'report',
    )
    for source, faces in zip(sources, results):
        for face in faces if isinstance(faces, list) else [faces]:
            print(
                f'{source}: ' + (face.get('error') or ', '.join(describe_result(face)))
            )
    print(f'Pictures are in {args.out}.')


if __name__ == '__main__':
    run_tool(main)
