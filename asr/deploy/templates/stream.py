"""Recognizes an utterance while it arrives: python stream.py FILE shows it for a recording.

Needs numpy, onnxruntime and soundfile, and the files beside it.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from transcribe import read, text_of

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Stream:
    """One utterance; the session may be that of many."""

    def __init__(self, session):
        self.session, self.facts = session, session.get_modelmeta().custom_metadata_map
        # The state is zeros at first, none of them along axes that vary.
        self.state = {
            value.name: np.zeros([size if isinstance(size, int) else 0 for size in value.shape], TYPES[value.type])
            for value in session.get_inputs()
            if value.name not in ("waveform", "final")
        }
        self.log_probs = []

    def accept(self, samples, final=False):
        """Recognizes the next float32 (samples,) at the model's sampling rate, of any number; 0.1 s or more is best."""
        names = ["log_probs", *(f"next_{name}" for name in self.state)]
        values = self.session.run(names, {"waveform": samples[None], "final": np.array([final]), **self.state})
        self.log_probs.append(values[0][:, 0])
        self.state = dict(zip(self.state, values[1:], strict=True))

    def finish(self):
        """Ends the utterance, so that its last frames count too; returns its text."""
        self.accept(np.zeros(0, np.float32), final=True)
        return self.text

    @property
    def text(self):
        """The text so far."""
        return text_of(np.concatenate(self.log_probs), self.facts)


if __name__ == "__main__":
    model = Path(__file__).parent / "stream.onnx"
    stream = Stream(onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"]))
    rate = int(stream.facts["sampling_rate"])
    samples = read(sys.argv[1], rate)
    for chunk in np.split(samples, range(rate // 10, len(samples), rate // 10)):
        stream.accept(chunk)
        print(stream.text, file=sys.stderr)
    print(stream.finish())
