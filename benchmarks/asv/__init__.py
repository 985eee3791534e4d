"""Import time, speed and peak memory per commit, for asv: ``asv run``; of the checkout alone: ``make speed``."""
