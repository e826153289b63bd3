"""Print the tests that prove claims, in one line, for a command line of pytest.

Belongs here: reading claims.yaml. Not here: what makes a claim whole (see test_claims.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

CLAIMS = Path(__file__).with_name("claims.yaml")


def proofs() -> list[str]:
    """Test ids, each once, in the order of the claims."""
    return list(dict.fromkeys(node for claim in yaml.safe_load(CLAIMS.read_text()) for node in claim.get("proof", ())))


if __name__ == "__main__":
    sys.stdout.write(" ".join(proofs()) + "\n")
