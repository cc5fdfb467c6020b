"""What is measured: one program for each alternative, started as ``python -m benchmarks.programs.<name>``.

A program imports only what its alternative needs, and prints one line of JSON at the end: facts about what it did, which
the harness compares between the alternatives.
"""
