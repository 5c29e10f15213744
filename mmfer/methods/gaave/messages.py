"""Messages that a cleaning run writes to the log."""

from typing import List, Sequence

import numpy as np
from mmengine.logging import MMLogger

from mmfer.evaluation import Strength

from .label_decisions import LabelDecisions
from .operating_points import CLEAR
from .options import GAAVEOptions
from .report import describe
from .splitting import HeadTail, subset_names


class CleaningLog:
    """Write the log of a cleaning run, and number its stages.

    Args:
        logger (MMLogger): Logger that gets the messages.
        classes (Sequence[str]): Class names of the data set.

    Attributes:
        num_stages (int): Number of stages of the run; the algorithm sets it.
        warnings (list[str]): Warnings so far, for the report.
    """

    def __init__(self, logger: MMLogger, classes: Sequence[str]):
        self.logger = logger
        self.classes = classes
        self.num_stages = 0
        self.warnings: List[str] = []
        self._stage = 0

    def _warn(self, text: str) -> None:
        """Log a warning, and keep it for the report."""
        self.warnings.append(text[0].upper() + text[1:])
        self.logger.warning(text)

    # -- stages ------------------------------------------------------------
    def stage(self, what: str) -> None:
        """Report that the next stage begins, with a description."""
        self._stage += 1
        self.logger.info(f'GAAVE, stage {self._stage} of {self.num_stages}: {what}')

    def expected_stage(self, count: int) -> int:
        """Return the number of the last one of the next ``count`` stages."""
        return self._stage + count

    def catch_up(self, number: int, what: str) -> None:
        """Report that the stages up to ``number`` were read from files."""
        if self._stage < number:
            self._stage = number - 1
            self.stage(f'{what}, nothing left to do')

    def training(self, what: str, samples: int, num_classes: int) -> None:
        """Report the stage in which a model is trained."""
        self.stage(f'{what}, {samples} samples of {num_classes} classes')

    def attack(self, name: str, samples: int) -> None:
        """Report the stage in which a subset is attacked."""
        self.stage(f'attack on {samples} samples of the {name}')

    def one_class_annotator(self, name: str) -> None:
        """Report that an annotator needs no training."""
        self.stage(f'the annotator of the {name} has one class and needs no training')

    def suspects(self, path: str, count: int, samples: int) -> None:
        """Report that base models leave samples out.

        Args:
            path (str): Score table that suspects them.
            count (int): Number of these samples.
            samples (int): Number of all samples.
        """
        self.logger.info(
            f'GAAVE: base models learn without the {count} of {samples} samples '
            f'that {path} suspects.'
        )

    # -- results -----------------------------------------------------------
    def split(self, split: HeadTail, counts: np.ndarray, wanted: bool) -> None:
        """Report the classes of head and tail.

        Args:
            split (HeadTail): The split.
            counts (np.ndarray): Size of each class, (C, ).
            wanted (bool): Whether the options ask for a split.
        """
        if len(split.tail):
            text = '; '.join(
                f'{name}: '
                + ', '.join(f'{self.classes[c]} ({counts[c]})' for c in classes)
                for name, classes in zip(subset_names(2), split)
            )
        elif wanted:
            text = 'classes are about equally large: one subset'
        else:
            text = 'one subset with all classes'
        self.logger.info(f'GAAVE, {text}')

    def nothing_held_out(self) -> None:
        """Report that a model is trained to its last epoch."""
        self.logger.info(
            'No class has enough samples to hold some out: the model is trained '
            'to the last epoch.'
        )

    def vulnerability(
        self, name: str, accuracy: float, max_steps: int, histogram: List[int]
    ) -> None:
        """Report the result of the attack on a subset."""
        self.logger.info(
            f'The base model of the {name} predicts {accuracy:.1%} of its labels; '
            f'k from 0 to {max_steps}: {histogram}'
        )

    def learned_nothing(self, name: str) -> None:
        """Warn of a base model that predicts one class for all samples."""
        self._warn(
            f'the base model of the {name} predicts the same class for all '
            f'samples: it has learned nothing, and the labels of the {name} stay '
            'as they are. Train longer, or with another learning rate.'
        )

    def hardly_better(self, name: str, strength: Strength) -> None:
        """Warn of a base model that is hardly better than chance."""
        self._warn(
            f'the base model of the {name} does not know these images: it predicts '
            f'{strength}. Its candidates are then chosen by chance. Train longer, or '
            'start from pretrained weights; do not use the decisions as they are.'
        )

    def low_accuracy(self, name: str, accuracy: float, fit: str) -> None:
        """Warn of a base model that predicts too few of its labels."""
        if fit == 'full':
            reason = (
                "; fit='full' is for models that fit nearly all labels. Train "
                "longer, or choose fit='peak'."
            )
        else:
            reason = (
                ': either most of them are wrong, or the model has learned too '
                'little, and its candidates are hard samples, not wrong labels. '
                'Look at the suggestions before you use them; another schedule '
                'may fit better (base=).'
            )
        self._warn(
            f'the base model of the {name} predicts only {accuracy:.1%} of its '
            f'labels{reason}'
        )

    def no_candidates_wanted(self, name: str) -> None:
        """Report that the options exclude candidates, by a threshold of -1."""
        self.logger.info(f'The {name} has no candidates: its tau is -1.')

    def threshold(
        self, name: str, tau: float, separation: float, candidates: int
    ) -> None:
        """Report the threshold of a subset."""
        self.logger.info(
            f'Threshold of the {name}: k <= {tau:g}, separation '
            f'{separation:.2f}, {candidates} candidates.'
        )

    def too_few_ahead(self, reason: str) -> None:
        """Say before the training that too few samples will be held out.

        Args:
            reason (str): How many are, and how many would be enough.
        """
        self.logger.warning(
            f'GAAVE: {reason}. So it will not know how probably a label is wrong, and '
            'will change none. If an option would help, setting it now saves the time '
            'of the base model.'
        )

    def no_posterior(self, reason: str, too_few: bool) -> None:
        """Warn that candidates are found by a threshold on k instead.

        Args:
            reason (str): Why.
            too_few (bool): Whether too few samples are held out for a posterior.
        """
        text = (
            f'GAAVE: {reason}, so candidates are found by a threshold on k '
            "(criterion='steps'), which leaves more wrong labels where noise is heavy."
        )
        if too_few:
            text += (
                ' No label is changed, because nobody knows how often annotators are '
                'right: they only confirm labels.'
            )
        self._warn(text)

    def not_judged(self, counts: np.ndarray) -> None:
        """Warn of classes of which no sample is held out.

        Args:
            counts (np.ndarray): Number of such samples of each class.
        """
        names = ', '.join(
            f'{name} ({count})' for name, count in zip(self.classes, counts) if count
        )
        self._warn(
            f'no samples of {names} are held out, because there are too few: nothing '
            'is known about these labels, and they stay as they are. A larger held_out '
            'helps.'
        )

    def nothing_decided(self) -> None:
        """Warn that all labels stay, because the base model knows too little."""
        self._warn(
            'GAAVE: a threshold on k of a base model that is hardly better than chance '
            'finds nothing but chance: all labels stay as they are. Train longer, or '
            "start from pretrained weights; criterion='steps' uses it anyway."
        )

    def posterior(self, record: dict, held_out: int, candidates: int) -> None:
        """Report the candidates that the posterior gives.

        Args:
            record (dict): Noise rate and expected shares.
            held_out (int): Number of held-out samples.
            candidates (int): Number of candidates.
        """
        expected = record['expected']
        if expected is None:
            self.logger.info(
                f'By {held_out} held-out labels, one noise rate does not explain the '
                'labels, there are hardly wrong ones, or the models know too little to '
                f'see it: {candidates} candidates, beside whose label another one '
                f'is at least {CLEAR} times as probable.'
            )
            return
        self.logger.info(
            f'By {held_out} held-out labels, {expected["wrong"]:.1%} of all labels are '
            f'wrong: {candidates} candidates. Expected: {expected["wrong_left"]:.1%} '
            f'of the other labels are wrong, and {expected["right_kept"]:.1%} of the '
            'right ones are among them.'
        )

    def annotators(self, chosen: np.ndarray, options: GAAVEOptions) -> None:
        """Report for how many candidates annotators are sure enough.

        Args:
            chosen (np.ndarray): Candidates of whose label they are, bool (n, ).
            options (GAAVEOptions): Options of the run.
        """
        accuracy = options.point.relabel_accuracy
        if not chosen.any():
            text = (
                f'By held-out labels, annotators cannot give labels of which '
                f'{accuracy:.1%} are right: all candidates are dropped.'
            )
        else:
            text = (
                f'Annotators are sure of the labels of {chosen.sum()} of {len(chosen)} '
                f'candidates, and expect {accuracy:.1%} of them to be right; '
            )
            if options.relabel:
                text += 'the others are dropped.'
            else:
                text += (
                    'relabel=False: where these are others, samples are dropped, too.'
                )
        self.logger.info(text)

    def aim_not_reached(self, expected: float, aim: float, kept: float) -> None:
        """Warn that more wrong labels stay than wanted, because classes must stay."""
        self._warn(
            f'{expected:.1%} of the labels that stay are expected to be wrong, not '
            f'{aim:.1%}, because {kept:.0%} of the right labels of each class must '
            'stay. A smaller kept_right of the operating_point leaves fewer wrong ones.'
        )

    def unsure_annotators(self, candidates: int) -> None:
        """Report that nothing is relabelled, because there is no noise rate."""
        self.logger.info(
            'Without a noise rate, nobody knows how often annotators are right: all '
            f'{candidates} candidates are dropped.'
        )

    def no_two_groups(
        self, name: str, separation: float, min_separation: float
    ) -> None:
        """Report that k has no two groups, so there is no threshold."""
        self.logger.info(
            f'The {name} has no candidates: its values of k do not form two '
            f'groups (separation {separation:.2f}, below '
            f'min_separation={min_separation}).'
        )

    def lost_classes(self, lost: Sequence[int]) -> None:
        """Warn of classes in which all samples are candidates."""
        names = ', '.join(self.classes[c] for c in lost)
        self._warn(
            f'all samples of {names} are candidates: no annotator can learn '
            'these classes, and they may be lost. Look at the samples, or choose '
            'a smaller tau.'
        )

    def lost_extra_class(self, name: str) -> None:
        """Warn of a clean subset that has no sample of its extra class."""
        self._warn(
            f'all samples in the extra class of the {name} are candidates: its '
            'annotator always predicts a class of its own, so the other annotator '
            'cannot give a label (Eq. 5). Choose a smaller tau for it.'
        )

    def decisions(self, decisions: LabelDecisions) -> None:
        """Report the number of decisions, for the whole set and for each class."""
        self.logger.info(describe(decisions, self.classes))
