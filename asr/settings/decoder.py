"""Settings of the group `decoder`."""

from dataclasses import dataclass
from enum import Enum


class DecoderKind(Enum):
    greedy = "greedy"
    beam = "beam"


class RecurrentUse(Enum):
    rescore = "rescore"
    fuse = "fuse"


@dataclass
class DecoderConfig:
    """How evaluation makes text of log-probabilities. Trainings decode dev greedily whatever stands here."""

    kind: DecoderKind
    """greedy takes the best token of each frame; beam weighs hypotheses with the language model of the group lm."""
    beam: int | None
    """Hypotheses that are kept; null is what `asr tune` found for the run and its language model, else 50."""
    lm_weight: float | None
    """Factor of the language model's log-probability (natural); null is the tuned one, else 0.5."""
    word_score: float | None
    """Added for each word, above 0 where words get lost; null is the tuned one, else 0. Only with lm.units=words."""
    beam_tokens: int | None
    """Best tokens of a frame that are tried; null is all. Fewer are faster where there are many word pieces."""
    beam_threshold: float
    """A hypothesis that is so much less probable than the best (natural logarithm) is dropped."""
    log_add: bool
    """Adds up the ways of writing a hypothesis; false takes the best of them."""
    nbest: int
    """Hypotheses of each utterance that are written to nbest.jsonl, with their scores, where it is above 1."""
    weights_from: str | None
    """Folder of another run, tuned with the same language models, whose tuned weights stand in for those left open;
    null is the run itself. For runs that were trained on dev."""
    recurrent: str | None
    """Folder of a recurrent language model, or of its run, that is heard too; null is none."""
    recurrent_use: RecurrentUse
    """rescore weighs the best hypotheses of the search anew; fuse asks it within the search, which takes longer."""
    recurrent_nbest: int
    """How many hypotheses are weighed anew, of those that the beam keeps: by a recurrent language model, or by several
    acoustic models with evaluation.combine=hypotheses."""
    recurrent_weight: float | None
    """Factor of the recurrent model's log-probability (natural); null is the tuned one, else 0.5."""
    recurrent_word_score: float | None
    """Added for each word when hypotheses are weighed anew; null is the tuned one, else 0."""
    hot_words: list[str]
    """Words and phrases that are favoured, as [RUBOUT,G M] (for a shell in quotes). With lm.units=words they are heard
    even if the language model does not know them. The search takes longer with them."""
    hot_word_boost: float
    """How much (natural logarithm), for each word of a phrase; for each token with lm.units=tokens."""
