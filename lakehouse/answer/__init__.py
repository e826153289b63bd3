"""Answers: retrieve, bundle what was found within a budget, ask a model, and let out only what is grounded and valid.

Belongs here: the bundle, the prompt, the grounding check, the versioned config, the loop in one call. Not here:
retrieval, chat and validation themselves (see lakehouse/retrieval, lakehouse/chat, lakehouse/validation).
"""
