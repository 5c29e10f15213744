"""Publish a model: weights, record and model card, or a list of what is missing."""

import json
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmengine.config import Config
from mmengine.model import BaseModel

from mmfer.version import __version__

from .evaluated_weights import evaluate_weights
from .model_card import card_problems, csv_files, draft_card
from .model_record import FACTS, build_record, missing_items, training_facts
from .publishing import file_facts, serialized, stored_weights


class IncompleteRecord(ValueError):
    """A record or a model card lacks something, so nothing is published."""


def read_facts(path: Optional[str]) -> Dict[str, str]:
    """Read the file ``--facts``: a JSON object of texts.

    Args:
        path (str, optional): The file; None for no facts.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such object, or has an unknown key.
    """
    if path is None:
        return {}
    try:
        facts = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'--facts {path} is no JSON file: {error}.') from None
    if not isinstance(facts, dict):
        raise ValueError(f'--facts {path} must be an object, {{"method": ...}}.')
    for key, value in facts.items():
        if key not in FACTS or not isinstance(value, str):
            raise ValueError(
                f'--facts {path}: {key!r} is no fact, or no text. Facts are '
                f'{", ".join(FACTS)}.'
            )
    return facts


def read_run(checkpoint: str, summary: Optional[str] = None) -> Dict[str, Any]:
    """Read what a run wrote beside its checkpoint.

    Args:
        checkpoint (str): A checkpoint in the work dir of the run.
        summary (str, optional): The summary, if it lies elsewhere.

    Returns:
        dict: ``summary`` and ``noise``, the contents of ``summary.json`` and
        ``label_noise.json``. An absent summary is empty, an absent noise is None.
    """
    folder = osp.dirname(summary or checkpoint)
    paths = dict(
        summary=summary or osp.join(folder, 'summary.json'),
        noise=osp.join(folder, 'label_noise.json'),
    )
    if summary is not None and not osp.isfile(summary):
        raise FileNotFoundError(f'--summary {summary}: there is no such file.')
    found: Dict[str, Any] = dict(summary={}, noise=None)
    for key, path in paths.items():
        if osp.isfile(path):
            try:
                found[key] = json.loads(Path(path).read_text(encoding='utf-8'))
            except ValueError as error:
                raise ValueError(
                    f'{path} is damaged ({error}). Run the training again, or copy the '
                    'file again.'
                ) from None
            if not isinstance(found[key], dict):
                raise ValueError(
                    f'{path} is damaged (no JSON object). Copy the file again.'
                )
    return found


class Publication:
    """What is published about one model.

    Args:
        cfg (Config): Config that the weights are published with.
        model (BaseModel): The model with its weights.
        out (str): Path of the weights. The name of the files is made of it.
        kept (str, optional): A checkpoint that is published already: its bytes and
            its name stay. Defaults to None.
        half (bool): Store half precision. Defaults to False.
    """

    def __init__(
        self,
        cfg: Config,
        model: BaseModel,
        out: str,
        kept: Optional[str] = None,
        half: bool = False,
    ):
        self.cfg, self.model, self.out, self.kept = cfg, model, out, kept
        self.classes = [str(name) for name in model._dataset_meta['classes']]
        self.state = stored_weights(model, half)
        self.record: dict = {}

    @property
    def name(self) -> str:
        """Name of the model: that of the file, without a suffix."""
        return Path(self.out).stem

    def collect(self, run: Dict[str, Any], facts: Dict[str, str]) -> None:
        """Measure the weights and collect the record.

        Args:
            run (dict): See :func:`read_run`.
            facts (dict[str, str]): See :func:`read_facts`.

        Raises:
            IncompleteRecord: The training set or the test set is not at hand.
            ValueError: The labels at hand are not those of the run.
        """
        summary = run['summary']
        try:
            evaluation = evaluate_weights(self.model, self.cfg, self.classes)
            trained = training_facts(self.cfg, summary, len(self.classes))
        except FileNotFoundError as error:
            raise IncompleteRecord(
                f'{self.name}: the record needs the counts of the training set and an '
                f'evaluation, but a data set is not at hand: {error}'
            ) from error
        self.record = build_record(
            self.name, self.cfg, summary, evaluation, run['noise'], facts
        )
        self.record['data'].update(trained)
        self.record['classes'] = self.classes
        calibration = getattr(self.model, 'calibration', None)
        if calibration:
            self.record['calibration'] = {
                key: value for key, value in calibration.items() if key != 'quantiles'
            }

    def files(self, card: Optional[str]) -> Dict[str, bytes]:
        """Return the contents of all files by path: weights, card, then record.

        Args:
            card (str, optional): Path of the model card.

        Raises:
            IncompleteRecord: Something is missing. The message lists all of it.
        """
        meta = dict(
            config=self.record['config'],
            mmfer_version=__version__,
            dataset_meta=dict(classes=self.classes),
        )
        for key in ('rejection', 'calibration'):
            if getattr(self.model, key, None):
                meta[key] = getattr(self.model, key)
        if self.kept is not None:
            data, stem = Path(self.kept).read_bytes(), osp.splitext(self.kept)[0]
            self.record['file'] = file_facts(data, osp.basename(self.kept))
        else:
            data = serialized(meta, self.state)
            self.record['file'] = file_facts(data, '')
            stem = f'{osp.splitext(self.out)[0]}-{self.record["file"]["sha256"][:8]}'
            self.record['file']['name'] = f'{osp.basename(stem)}.pth'
        self.record['model_card'] = self._card_name(card, stem)
        problems = missing_items(self.record)
        text = Path(card).read_text(encoding='utf-8') if card is not None else ''
        if card is not None and not problems:
            problems = [f'{card}: {line}.' for line in card_problems(text, self.record)]
        if problems:
            raise IncompleteRecord(self._refusal(problems))
        record = json.dumps(self.record, indent=1, allow_nan=False) + '\n'
        files = {f'{stem}.json': record.encode()}
        if self.kept is None:
            files = {f'{stem}.pth': data, f'{stem}.md': text.encode(), **files}
        return files

    def _card_name(self, card: Optional[str], stem: str) -> Optional[str]:
        """Return the model card as the record names it."""
        if card is None or not osp.isfile(card):
            return None
        # Paths of this machine are nobody's business.
        local = osp.relpath(card)
        outside = osp.isabs(local) or local.startswith('..')
        kept = osp.basename(card) if outside else Path(local).as_posix()
        return kept if self.kept is not None else f'{osp.basename(stem)}.md'

    def _refusal(self, problems: List[str]) -> str:
        lines = '\n'.join(f'  - {line}' for line in problems)
        return (
            f'{self.name} is not published: its record is incomplete.\n{lines}\n'
            'No file was written. Facts that no file has go into a JSON file, '
            f'--facts FILE, with the keys {", ".join(FACTS)}; what nobody knows is '
            '"unknown: REASON". --draft-card FILE writes a model card to complete.'
        )

    def draft(self) -> str:
        """Return the draft of a model card; see :func:`draft_card`."""
        return draft_card(self.record)

    def tables(self, prefix: str) -> Dict[str, bytes]:
        """Return the tables of the card as CSV files; see :func:`csv_files`."""
        return csv_files(self.record, prefix)
