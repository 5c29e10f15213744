"""The commands of docs/tutorial.md run, and give what the page says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

PAGE = Path(ROOT) / 'docs/tutorial.md'


def blocks(language):
    return re.findall(
        rf'^```{language}\n(.*?)^```', PAGE.read_text(), re.MULTILINE | re.DOTALL
    )


def test_tools_are_there():
    commands = [line for block in blocks('bash') for line in block.splitlines()]
    assert len(commands) >= 10
    for command in commands:
        program, tool = command.split()[:2]
        assert program == 'python' and (Path(ROOT) / tool).is_file(), command


@pytest.mark.slow
def test_walk(tmp_path):
    """Run the whole page in a folder that has only configs, tools and mmfer."""
    for name in ('configs', 'tools', 'mmfer'):
        (tmp_path / name).symlink_to(Path(ROOT) / name)
    config, cleaning, use = blocks('python')
    (tmp_path / 'my_faces.py').write_text(config)
    (tmp_path / 'my_cleaning.py').write_text(cleaning)
    (tmp_path / 'use.py').write_text(use)

    def call(command):
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=tmp_path,
            text=True,
            env=dict(os.environ, PYTHONPATH=str(tmp_path)),
            capture_output=True,
        )
        assert done.returncode == 0, (command, done.stderr[-3000:])
        return done.stdout

    for block in blocks('bash'):
        for command in block.splitlines():
            call(command.removeprefix('python '))
    said = call('use.py')
    assert (
        said.splitlines()[-1].split()[0]
        in (tmp_path / 'data/faces/classes.txt').read_text().split()
    )
    out = tmp_path / 'work_dirs'
    for name in (
        'images',
        'rejection_curve',
        'uncertain_images',
        'confusion_matrix',
        'cleaned/attack_steps',
    ):
        assert (out / f'{name}.png').stat().st_size > 5000
    assert (out / 'cleaned/review.html').stat().st_size > 100_000

    def labels(name):
        lines = (tmp_path / f'data/faces/{name}.txt').read_text().splitlines()
        return dict(line.split() for line in lines)

    clean, given = labels('train_clean'), labels('train')
    with open(out / 'cleaned/sample_scores.csv') as file:
        rows = list(csv.DictReader(file))
    left = [r for r in rows if r['decision'] != 'drop']
    wrong = sum(
        r['suggested_label'] != clean[r['image']]
        if r['decision'] == 'relabel'
        else r['given_label'] != clean[r['image']]
        for r in left
    )
    before = sum(given[image] != clean[image] for image in clean)
    # At least half of the wrong labels are gone, as on real images.
    assert wrong / len(left) < before / len(clean) / 2
