"""The commands of docs/quick_start.md run, and give what the page says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

PAGE = (Path(ROOT) / 'docs/quick_start.md').read_text()


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_walk(tmp_path):
    """Run the page in an empty folder, with shorter trainings."""

    def call(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            text=True,
            env=dict(os.environ, PYTHONPATH=ROOT),
            capture_output=True,
        )
        assert done.returncode == 0, (words, done.stderr[-3000:])
        return done.stdout

    said = {}
    commands = [line for block in blocks('bash') for line in block.splitlines()]
    for command in commands:
        program, *words = command.split()
        if program != 'mmfer':
            continue
        if words[0] == 'train':
            words += ['--cfg-options', 'train_cfg.max_epochs=2']
        said[command] = call('-m', 'mmfer', *words)
    drawn, scanned = blocks('text')
    assert drawn == ''.join(text for c, text in said.items() if ' draw ' in c)
    # The first line does not depend on the encoder that is installed.
    first = scanned.splitlines()[0]
    assert first in said['mmfer scan my_faces --out scanned'].splitlines()
    names = {p.name for p in (tmp_path / 'scanned').iterdir()}
    assert {'review.html', 'report.txt', 'sample_scores.csv'} <= names
    with open(tmp_path / 'scanned/sample_scores.csv') as file:
        dropped = sum(row['decision'] == 'drop' for row in csv.DictReader(file))
    cleaned = sum(1 for p in (tmp_path / 'cleaned').rglob('*.png'))
    assert cleaned + dropped == 4000 and 500 < dropped < 2000
    with open(tmp_path / 'predictions.csv') as file:
        assert len(list(csv.DictReader(file))) > 100
    assert 'happiness' in call('-c', blocks('python')[0])
