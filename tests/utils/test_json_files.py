"""Reading of JSON files that may be damaged, or of another kind."""

import json

import pytest

from mmfer.utils import json_files
from mmfer.utils.cache.files import read_json as read_cached
from mmfer.utils.json_files import read_history, read_json, read_summary

NO_JSON = (
    b'',
    b'{"a": ',
    b'[' * 100_000,
    b'{"a": 1}\xff',
    b'{"a": 1} 2',
    b'9' * 5000,
    b'\0' * 20,
)


@pytest.mark.parametrize('data', NO_JSON)
def test_no_json(tmp_path, data):
    path = tmp_path / 'a.json'
    path.write_bytes(data)
    for read in (read_json, read_history, read_summary):
        with pytest.raises(ValueError, match='a.json .*JSON|a.json is nested') as info:
            read(path)
        assert len(str(info.value)) < 1000
    # The cache builds an entry anew whose header cannot be read.
    assert read_cached(str(path)) == {}


def test_other_forms_and_sizes(tmp_path, monkeypatch):
    path = tmp_path / 'a.json'
    path.write_text('[1]')
    assert read_json(path) == read_json(path, list) == [1]
    with pytest.raises(ValueError, match='a.json is no record: .*a list instead'):
        read_json(path, dict, 'record')
    monkeypatch.setattr(json_files, 'MAX_BYTES', 2)
    with pytest.raises(ValueError, match='a.json has more than'):
        read_json(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / 'b.json')


@pytest.mark.parametrize(
    'entries, part',
    [
        ({}, 'a dict instead of a list'),
        ([{}], 'entry 1 has no number of an epoch'),
        ([dict(epoch=1), 3], 'entry 2 has no number'),
        ([dict(epoch='1')], 'entry 1 has no number'),
        ([dict(epoch=True)], 'entry 1 has no number'),
        ([dict(epoch=10**30)], 'entry 1 has no number'),
        ([dict(epoch=2, metrics=[1])], 'metrics of epoch 2'),
        ([dict(epoch=2, losses=dict(a='1'))], 'losses of epoch 2'),
        ([dict(epoch=2, training=dict(a=None))], 'training of epoch 2'),
        ([dict(epoch=2, figures=3)], 'figures of epoch 2'),
    ],
)
def test_histories_of_another_form(tmp_path, entries, part):
    path = tmp_path / 'history.json'
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=f'history.json is no .*{part}'):
        read_history(path)


@pytest.mark.parametrize(
    'summary, part',
    [
        ([], 'a list instead of a dict'),
        ({}, 'no metrics'),
        (dict(metrics=[]), 'no metrics'),
        (dict(metrics=dict(top1=3)), "the metric 'top1'"),
        (dict(metrics=dict(top1=dict(last='3'))), "the metric 'top1'"),
        (dict(metrics={}, noise_auroc='much'), "noise_auroc is 'much'"),
        (dict(metrics={}, probability_auroc=[1]), 'probability_auroc is'),
    ],
)
def test_summaries_of_another_form(tmp_path, summary, part):
    path = tmp_path / 'summary.json'
    path.write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=f'summary.json is no .*{part}'):
        read_summary(path)


def test_values_that_are_no_numbers_of_json(tmp_path):
    """A run that diverged writes NaN, and a metric may be unknown."""
    path = tmp_path / 'a.json'
    path.write_text('[{"epoch": 1, "losses": {"loss": NaN}, "figures": null}]')
    assert read_history(path)[0]['epoch'] == 1
    path.write_text('{"metrics": {"a": {"last": null}}, "noise_auroc": null}')
    assert read_summary(path)['metrics'] == dict(a=dict(last=None))
