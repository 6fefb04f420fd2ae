"""All that is fuzzed, by name."""

from tools.fuzz.archives import Archives
from tools.fuzz.cases import Subject
from tools.fuzz.manifests import Manifests
from tools.fuzz.models import Models
from tools.fuzz.runs import Runs
from tools.fuzz.settings import Settings

ALL = (Models, Runs, Archives, Manifests, Settings)
SUBJECTS: dict[str, type[Subject]] = {subject.name: subject for subject in ALL}
