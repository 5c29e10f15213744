"""Write a page on which a person looks at suspicious labels.

    python tools/analysis_tools/review_labels.py WORK_DIR

WORK_DIR is that of a training or of ``tools/clean_labels.py``, with a
``sample_scores.csv`` and the config. The page, ``WORK_DIR/review.html``, needs
nothing else: no server, no network. It shows the images with the largest
``noise_score`` first, with given and suggested label; K, R and D keep, relabel
and drop, and a click downloads the corrected list in the data set's own
format, or a table for ``train_dataloader.dataset.decisions``. Labels of images
that are not on the page are those that the table decides.
"""

import argparse
import os.path as osp

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmfer.analysis.review import write_page
from mmfer.apis.checkpoints import find_config
from mmfer.cli import run_tool
from mmfer.registry import DATASETS

TABLE = 'sample_scores.csv'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', help='with sample_scores.csv and a config')
    parser.add_argument(
        '--table', help='another table than sample_scores.csv of the folder'
    )
    parser.add_argument('--out', help='the page, WORK_DIR/review.html')
    parser.add_argument(
        '--max-images', type=int, default=10000, help='the most suspicious ones; 10000'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='overrides of the config, as where the images are: '
        'train_dataloader.dataset.data_root=...',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    table = args.table or osp.join(args.work_dir, TABLE)
    if not osp.isfile(table):
        raise SystemExit(
            f'{table} is not there. Trainings write it when they end '
            '(SampleScoresHook, in all configs here), and so does '
            'python tools/clean_labels.py CONFIG --out DIR.'
        )
    cfg = Config.fromfile(find_config(args.work_dir))
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope('mmfer')
    settings = dict(cfg.train_dataloader.dataset, cache_images=False)
    # What the table decides is what is to be looked at.
    settings.pop('decisions', None)
    if settings.get('type') == 'SyntheticFaces':
        settings.pop('cache_images')
    dataset = DATASETS.build(settings)
    out = args.out or osp.join(args.work_dir, 'review.html')
    title = osp.basename(osp.abspath(args.work_dir))
    done = write_page(out, dataset, table, title, args.max_images)
    print(
        f'{out}: {done["shown"]} of {done["samples"]} images, '
        f'{done["bytes"] / 1e6:.1f} MB. Open it in a browser.'
    )


if __name__ == '__main__':
    run_tool(main)
