"""The configuration: a dataclass for each group of conf/; bounds, aliases, composition, recipes and sweeps."""
