"""One file a verb: each takes the configuration, calls the parts and prints the outcome.

What a user can correct is raised as a `UserError`, here or in the parts; `cli` prints its sentence and exits with 2.
"""
