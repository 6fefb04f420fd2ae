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
    """How evaluation decodes log-probabilities. A training always decodes dev greedily."""

    kind: DecoderKind
    """greedy takes the best token of each frame; beam searches with the language model of the group lm."""
    beam: int | None
    """Beam size; null is what `asr tune` found for the run and its language model, else 50."""
    lm_weight: float | None
    """Factor of the language model's log-probability (natural); null is the tuned one, else 0.5."""
    word_score: float | None
    """Added for each word, above 0 where words are deleted; null is the tuned one, else 0. Only with lm.units=words."""
    beam_tokens: int | None
    """Best tokens of a frame that are tried; null is all. Fewer are faster where there are many subwords."""
    beam_threshold: float
    """Hypotheses that are less probable than the best by more than this (natural logarithm) are dropped."""
    log_add: bool
    """Add up the alignments of a hypothesis; false takes the best of them."""
    nbest: int
    """Hypotheses of each utterance that are written to nbest.jsonl, with their scores, where it is above 1."""
    weights_from: str | None
    """Folder of another run, tuned with the same language models, whose tuned weights are used where none are set;
    null is the run itself. For runs that were trained on dev."""
    recurrent: str | None
    """Folder of a recurrent language model, or of its run, that scores hypotheses too; null is none."""
    recurrent_use: RecurrentUse
    """rescore reranks the n-best of the search; fuse scores within the search (shallow fusion), which takes longer."""
    recurrent_nbest: int
    """Hypotheses of the beam that are rescored: by a recurrent language model, or by several acoustic models with
    evaluation.combine=hypotheses."""
    recurrent_weight: float | None
    """Factor of the recurrent model's log-probability (natural); null is the tuned one, else 0.5."""
    recurrent_word_score: float | None
    """Added for each word in rescoring; null is the tuned one, else 0."""
    hot_words: list[str]
    """Words and phrases to boost, as [RUBOUT,G M] (in quotes for a shell). With lm.units=words they are recognized even
    where they are out of vocabulary. The search takes longer with them."""
    hot_word_boost: float
    """Their boost (natural logarithm), for each word of a phrase; for each token with lm.units=tokens."""
