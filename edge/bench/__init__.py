"""What users measure on their own machine, as JSON; what needs a checkout or a peer's package is in ``tools/bench``."""
