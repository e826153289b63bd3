"""The `lakehouse` command: starts, stops and inspects the platform, and talks to its API.

Belongs here: commands, the supervisor of child processes, what is printed. Not here: rules (see lakehouse/).
"""
