"""Published and foreign runs as lines of the raw stream `agent_trajectories`: what each format means.

Belongs here: formats, one module each, over open files. Not here: staging and the bucket (see
lakehouse/adapters/trajectory_import.py), what a line becomes (see lakehouse/evidence/transforms/agent_trajectories.py).
"""
