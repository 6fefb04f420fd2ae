"""Slurm jobs through submitit: errors at submission, and how each rank ends."""

import atexit
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from asr.common.errors import ConfigError, Interrupted, RunError, UserError
from asr.training.interruption import await_the_end
from asr.training.launch import find_launch

log = logging.getLogger(__name__)

REQUEUE_SECONDS = 120.0
"""How long the other ranks wait until rank 0 has requeued their job, which ends them."""

RESULT_SECONDS = 5.0
"""How long rank 0 waits for the other ranks to write their result for submitit, before its exit code ends them."""
OTHERS_SECONDS = 30.0
"""How long the other ranks wait for rank 0 to close its tracker: its result is the one that counts."""


class Announcement(Callback):
    """Prepares the submission of Slurm jobs, and says where their output will be."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Hydra calls it with the whole configuration."""
        if "no-requeue" not in config.cluster.sbatch:
            os.environ.setdefault("SBATCH_REQUEUE", "1")  # some clusters requeue only jobs that ask for it
        print(
            f"Submitting to Slurm: output goes to {config.hydra.sweep.dir}/.submitit/JOB/, and `squeue --me` shows the "
            "jobs. This command waits for them; they go on without it.",
            file=sys.stderr,
        )


@contextmanager
def submission_errors() -> Iterator[None]:
    """Turns what submitit raises at submission into one sentence.

    Raises:
        ConfigError: There is no Slurm here, or it refuses the job.
        RunError: The job ended without a result.
    """
    try:
        yield
    except RuntimeError as error:
        if "srun" not in str(error):
            raise
        raise ConfigError("cluster=slurm, but there is no srun here: submit from a node that has Slurm.") from None
    except Exception as error:
        # Not imported for this: most users have no submitit.
        if not type(error).__module__.startswith("submitit."):
            raise
        sentence = " ".join(str(error).split())
        if type(error).__name__ == "UncompletedJobError":
            raise RunError(f"The Slurm job ended without a result: {sentence}") from None
        raise ConfigError(f"Slurm did not take the job: {sentence}") from None


@contextmanager
def on_slurm() -> Iterator[None]:
    """Ends a rank of a job that submitit started.

    An error is returned to the submitting process, and its exit code to Slurm. An interrupted training exits without a
    result, since with one submitit would regard the job as finished.
    """
    try:
        yield
    except Interrupted as error:
        log.info("%s", error)
        _requeue(error.signal)
        await_the_end(error.signal)
        sys.exit(128 + error.signal)
    except UserError as error:
        log.error("%s", error)
        _exit_at_the_end(2)
        raise
    except Exception:
        log.exception("The training failed.")
        _exit_at_the_end(1)
        raise


def _requeue(number: int) -> None:
    """Passes Slurm's warning on to submitit, whose handler requeues the job and exits.

    submitit requeues in the process of rank 0 and lets the others go on. They wait until they are ended: a rank that
    exited before could take rank 0 down. After any other signal Slurm itself requeues, or the job was cancelled.
    """
    warning = signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]
    handler = signal.getsignal(number)
    if number != warning or not callable(handler):
        return
    handler(number, None)
    if find_launch().rank > 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(REQUEUE_SECONDS)


def _exit_at_the_end(code: int) -> None:
    """Ends the process with a code after submitit has written the error; otherwise the code would be 0."""

    def leave() -> None:
        time.sleep(RESULT_SECONDS if find_launch().rank == 0 else OTHERS_SECONDS)
        logging.shutdown()
        os._exit(code)

    atexit.register(leave)
