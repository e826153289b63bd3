"""The platform as a library: the rules of each capability, and adapters for all I/O; docs/architecture.md is the map.

Belongs here: whatever the API, Dagster and the command share. Not here: HTTP (see lakehouse_api), orchestration (see
lakehouse_assets), the command (see lakehouse_cli).
"""
