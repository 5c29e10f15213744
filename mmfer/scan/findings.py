"""What a scan has found, and its score table."""

from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Optional

import numpy as np

from mmfer.score_table import ScoreTable

from .duplicates import Duplicates
from .groups import Groups
from .scoring import LabelScores
from .sources import Source

# With fewer images of a class, its labels can hardly be judged.
SMALL_CLASS = 10


@dataclass
class Findings:
    """Results of a scan of N images.

    Attributes:
        source (Source): The images.
        names (list[str]): Their names, (N,).
        labels (np.ndarray): Given labels, int64 (N,).
        errors (dict[int, str]): Why an image cannot be read, by row.
        scores (LabelScores): How probably each label is wrong.
        duplicates (Duplicates): Images that are there several times.
        groups (Groups): Groups that were left out together.
        faceless (np.ndarray): Images that seem to show no face, bool (N,).
        face_scores (np.ndarray, optional): Scores of the face detector, (N,); None
            without one.
        encoder (str): Name of the encoder.
        relabel (bool): Whether flagged labels may get the suggested label.
    """

    source: Source
    names: List[str]
    labels: np.ndarray
    errors: Dict[int, str]
    scores: LabelScores
    duplicates: Duplicates
    groups: Groups
    faceless: np.ndarray
    face_scores: Optional[np.ndarray]
    encoder: str
    relabel: bool = False
    notes: List[str] = field(default_factory=list)

    @property
    def classes(self) -> List[str]:
        """Names of the classes."""
        return list(self.source.dataset.CLASSES)

    @property
    def valid(self) -> np.ndarray:
        """Whether an image could be read, bool (N,)."""
        valid = np.ones(len(self.labels), bool)
        valid[list(self.errors)] = False
        return valid

    @property
    def decides(self) -> bool:
        """Whether labels are flagged, not only sorted."""
        return self.scores.decided and not self.scores.strength.is_weak

    @property
    def suspicious(self) -> np.ndarray:
        """Whether a label is flagged as probably wrong, bool (N,)."""
        return self.scores.suspicious & self.valid & self.decides

    @property
    def decision(self) -> np.ndarray:
        """Decision for each image: keep, relabel or drop, (N,).

        Unreadable images are dropped. A flagged label is dropped, too; with
        ``relabel`` it is replaced if the suggestion is at least as probably right as
        an average given label.
        """
        decision = np.full(len(self.labels), 'keep', '<U7')
        decision[self.suspicious] = 'drop'
        if self.relabel:
            best = np.nan_to_num(self.scores.probabilities).max(axis=1)
            wrong = self.scores.noise_rate
            if wrong is None:
                # Without an estimate, the share of the clearest ones.
                wrong = self.scores.careful[self.valid].mean()
            sure = best >= 1 - wrong
            other = self.scores.suggested_label != self.labels
            decision[self.suspicious & sure & other] = 'relabel'
        decision[~self.valid] = 'drop'
        return decision

    def table(self) -> ScoreTable:
        """Return the score table of all images, (N,) columns."""
        dataset, count = self.source.dataset, len(self.labels)
        valid = self.valid
        group = self.groups.index
        copies = np.where(self.duplicates.is_copy, self.duplicates.group, -1)
        table: ScoreTable = dict(
            sample_id=np.asarray(dataset.sample_ids),
            image=np.array(self.names, dtype=object),
            given_label=self.labels,
            readable=valid.astype(int),
            group=np.asarray(dataset.sample_ids)[group],
            duplicate_of=np.where(
                copies < 0, -1, np.asarray(dataset.sample_ids)[copies.clip(0)]
            ),
            no_face=self.faceless.astype(int),
        )
        if self.face_scores is not None:
            table['face_score'] = np.where(valid, self.face_scores, 0)
        table.update(
            careful=(self.scores.careful & valid).astype(int),
            # Unreadable images have no score, and come last.
            noise_score=np.where(valid, self.scores.noise_score, 0.0),
            suggested_label=np.where(valid, self.scores.suggested_label, -1),
            decision=self.decision,
        )
        clean = dataset.clean_labels
        if clean is not None:
            table['clean_label'] = clean[dataset.sample_ids]
        assert all(len(column) == count for column in table.values())
        return table


class ClassSummary(NamedTuple):
    """Labels of one class.

    Attributes:
        name (str): The class.
        images (int): Number of readable images with this label.
        suspicious (int): Number of flagged labels.
        wrong (float): Estimated share of wrong labels; NaN without an image, and if
            scores are no probabilities.
    """

    name: str
    images: int
    suspicious: int
    wrong: float


def class_summaries(findings: Findings) -> List[ClassSummary]:
    """Return what was found about each given class, in the order of the labels."""
    rows = []
    flagged, valid = findings.suspicious, findings.valid
    for label, name in enumerate(findings.classes):
        own = valid & (findings.labels == label)
        count = int(own.sum())
        known = count and findings.scores.symmetric
        wrong = float(findings.scores.noise_score[own].mean()) if known else np.nan
        rows.append(ClassSummary(name, count, int((flagged & own).sum()), wrong))
    return rows


class Confusion(NamedTuple):
    """Flagged labels of one class that seem to be another.

    Attributes:
        given (int): The given label.
        suggested (int): The class that they seem to be.
        images (int): Number of images.
    """

    given: int
    suggested: int
    images: int


def confusions(findings: Findings, limit: int = 10) -> List[Confusion]:
    """Return the most frequent pairs of a given and a suggested label.

    Args:
        findings (Findings): Results of a scan.
        limit (int): Largest number of pairs. Defaults to 10.
    """
    count = len(findings.classes)
    suggested = findings.scores.suggested_label
    rows = findings.suspicious & (suggested != findings.labels) & (suggested >= 0)
    pairs = findings.labels[rows] * count + suggested[rows]
    found = np.bincount(pairs, minlength=count**2)
    order = np.argsort(-found, kind='stable')[:limit]
    return [
        Confusion(int(p // count), int(p % count), int(found[p]))
        for p in order
        if found[p]
    ]


def small_classes(findings: Findings) -> List[str]:
    """Return the names of classes with too few images to judge their labels."""
    return [row.name for row in class_summaries(findings) if row.images < SMALL_CLASS]
