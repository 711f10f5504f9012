"""Simulated worlds with a known truth, which the tests of `convlift.evidence` and the benchmarks share."""
