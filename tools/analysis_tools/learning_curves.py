"""Metrics over epochs, of several trainings.

    python tools/analysis_tools/learning_curves.py WORK_DIR [WORK_DIR ...]

reads ``history.json``, also of trainings that are still going on.
"""
import argparse
import os.path as osp

from mmfer.analysis.figures import learning_figure
from mmfer.analysis.runs import read_json
from mmfer.cli import run_tool, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+')
    parser.add_argument('--metrics', nargs='+', default=['accuracy/top1'])
    parser.add_argument('--out', default='learning_curves.png')
    args = parser.parse_args()
    histories = {
        osp.basename(osp.abspath(folder)): read_json(folder, 'history.json')
        for folder in args.work_dirs
    }
    save_figure(learning_figure(histories, args.metrics), args.out)


if __name__ == '__main__':
    run_tool(main)
