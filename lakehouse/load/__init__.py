"""Load: a mix of scenarios as staffing desks play them, seeded, whose answers are checked and counted.

Belongs here: what is asked in which order, what a right answer is, statistics. Not here: HTTP and pace (see
lakehouse/adapters/load_driver.py).
"""
