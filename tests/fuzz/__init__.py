"""Fuzzing as commands with a seed and a bound: ``python -m tests.fuzz.NAME --seed N --examples N``."""
