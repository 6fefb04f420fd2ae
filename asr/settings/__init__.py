"""The configuration: one dataclass for each group of conf/, their bounds, composition, recipes and sweeps."""
