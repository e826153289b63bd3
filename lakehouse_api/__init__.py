"""The HTTP API: routes, their schemas, and the door in front of them.

Belongs here: HTTP. Not here: what is done with a request (see lakehouse/), orchestration (see lakehouse_assets/).
"""
