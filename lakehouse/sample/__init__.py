"""Sample data: the staffing tables that `lakehouse sample` writes, deterministic by seed.

Belongs here: generators and their vocabulary. Not here: loading them (see lakehouse_cli/sample_load.py).
"""
