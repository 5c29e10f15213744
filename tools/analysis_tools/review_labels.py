"""Write a page on which a person reviews suspicious labels.

    python tools/analysis_tools/review_labels.py WORK_DIR

WORK_DIR comes from a run or from ``tools/clean_labels.py``, and has a
``sample_scores.csv`` and a config. The page, ``WORK_DIR/review.html``, is one file
that needs no server and no network. It shows the images with the largest
``noise_score`` first, each with its given and suggested label. The keys K, R and D
keep, relabel and drop an image. Buttons download the corrected list in the data set's
own format, and a table for ``train_dataloader.dataset.decisions``. Each comes in two
forms: only with what was looked at, or with all decisions. In the second form, images
that are not on the page have the decisions of ``sample_scores.csv``.
"""

import argparse
import os.path as osp

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmfer.analysis.review import write_page
from mmfer.apis.checkpoints import find_config
from mmfer.cli import run_tool
from mmfer.registry import DATASETS
from mmfer.score_table import FILE_NAME


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', help='folder with sample_scores.csv and a config')
    parser.add_argument('--table', help='table (default: WORK_DIR/sample_scores.csv)')
    parser.add_argument(
        '--out', help='file of the page (default: WORK_DIR/review.html)'
    )
    parser.add_argument(
        '--max-images',
        type=int,
        default=10000,
        help='show this many of the most suspicious images (default: 10000)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='overrides of the config, such as another folder of images: '
        'train_dataloader.dataset.data_root=...',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    table = args.table or osp.join(args.work_dir, FILE_NAME)
    if not osp.isfile(table):
        raise SystemExit(
            f'{table} does not exist. Name the work dir of a run that has ended, or '
            'the folder from python tools/clean_labels.py CONFIG --out DIR. Runs '
            'write this table at their end (SampleScoresHook).'
        )
    cfg = Config.fromfile(find_config(args.work_dir))
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope('mmfer')
    settings = dict(cfg.train_dataloader.dataset)
    # The page needs the samples before any decisions.
    settings.pop('decisions', None)
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
