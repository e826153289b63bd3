"""`python -m lakehouse_cli`: the command without its script.

Belongs here: the call alone. Not here: commands (see lakehouse_cli/main.py).
"""

from lakehouse_cli.main import run

if __name__ == "__main__":
    run()
