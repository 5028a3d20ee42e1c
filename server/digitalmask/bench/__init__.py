"""Benchmarks: the figures that the README gives, each by one command."""
