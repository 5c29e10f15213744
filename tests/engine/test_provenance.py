"""What determines a result."""

from helpers import tiny_config

from mmfer.engine.provenance import (
    IGNORED_KEYS,
    config_hash,
    deciding,
    package_versions,
)


def test_ignored_keys_are_removed_at_every_depth():
    cfg = dict(a=(1, dict(work_dir='x', lr=0.1)), num_workers=2, b=dict(data_root='y'))
    assert deciding(cfg) == dict(a=[1, dict(lr=0.1)], b={})
    assert deciding({key: 1 for key in IGNORED_KEYS}) == {}


def test_versions_are_those_of_installed_packages(monkeypatch):
    versions = package_versions()
    assert versions['torch'] and 'mmfer' in versions
    monkeypatch.setattr('mmfer.engine.provenance.PACKAGES', ('torch', 'no-such-thing'))
    assert package_versions() == dict(torch=versions['torch'])


def test_config_hash_tells_fine_tuning_from_resuming(tmp_path):
    same = dict(experiment_name='same')
    plain, tuned, resumed, moved = (
        config_hash(tiny_config(tmp_path, **options))
        for options in (
            same,
            dict(same, load_from='a.pth'),
            dict(same, load_from='a.pth', resume=True),
            dict(same, train_dataloader__num_workers=3),
        )
    )
    assert plain == resumed == moved != tuned
