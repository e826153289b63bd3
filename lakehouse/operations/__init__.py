"""Operations: backup, restore, upgrade and retention of a whole bucket, over any `ObjectStore`.

Belongs here: what an operator does to all of the data at once. Not here: garbage (see lakehouse/catalog/gc.py),
commands (see lakehouse_cli/maintenance_commands.py).
"""
