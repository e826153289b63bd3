"""Proof: claims, the cases over HTTP and the tests that show them, verdicts and the report; pure rules.

Belongs here: claims, cases, checks, rankings, verdicts, the report as values and text. Not here: asking a service,
running tests, files (see lakehouse/adapters/proof_http.py, proof_tests.py, proof_files.py).
"""
