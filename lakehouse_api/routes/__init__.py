"""Routes: one module per concept, each with a `router`.

Belongs here: parse, call one function, answer. Not here: rules (see lakehouse/), response shapes (see ../schemas/).
"""
