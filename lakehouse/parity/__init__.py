"""Parity: the same validation cases asked of two services, and whether their answers have the same shape.

Belongs here: cases, the forms of an answer, the comparison. Not here: asking (see lakehouse_cli/parity_calls.py).
"""
