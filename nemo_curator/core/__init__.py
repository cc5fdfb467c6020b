"""Clusters to run on: starting one, finding one, and what is asked about it."""
