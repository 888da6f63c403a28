"""Write for Grafana and its renderer what they read at their start, from the secret `grafana` where there is one.

Without the secret each pod draws a token of its own, which nobody else knows: no picture is rendered, and nobody gets
in by a token that stands in a manual. Without a password in it there is no login.
"""

import json
import secrets
import sys
from pathlib import Path


def main(secret: Path, out: Path) -> None:
    """Write token, config.yaml (the renderer's), login-on and login-off to `out`; `secret` may lack any of its keys."""
    token_file, password_file = secret / "renderer-token", secret / "admin-password"
    token = token_file.read_text().strip() if token_file.exists() else ""
    token = token or secrets.token_hex(32)
    login = password_file.exists() and bool(password_file.read_text())
    (out / "token").write_text(token)
    (out / "config.yaml").write_text(f"server: {{auth-token: [{json.dumps(token)}]}}\n")
    (out / "login-on").write_text(json.dumps(login))
    (out / "login-off").write_text(json.dumps(not login))


main(Path(sys.argv[1]), Path(sys.argv[2]))
