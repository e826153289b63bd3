"""The code server: `python -m lakehouse_assets.code_server`, which serves the definitions and starts runs.

Belongs here: opening the instance in its turn, then Dagster's own server. Not here: the definitions.
"""

from __future__ import annotations

from lakehouse.settings import load_settings
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import LOCATION, LOOPBACK, MODULE, PROJECT, code_server_port


def main() -> None:
    """Serve the code location of the settings on loopback."""
    from dagster._cli.api import grpc_command

    settings = load_settings()
    with open_instance(settings):
        pass  # its tables exist now, so the server may open it at the same time as others
    grpc_command(
        [
            "--host", LOOPBACK, "--port", str(code_server_port(settings)), "--module-name", MODULE,
            "--working-directory", str(PROJECT), "--location-name", LOCATION,
            "--use-python-environment-entry-point", "--log-level", "warning",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
