"""`/mcp`: the platform's own routes as tools of the Model Context Protocol, for language models.

Belongs here: nothing but this text. Not here: what the tools do (see lakehouse_api/routes).
"""
