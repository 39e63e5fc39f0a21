"""A certificate that signs itself, for listeners that speak TLS: the same for every proxy of a run."""

import subprocess
from pathlib import Path

from .process import Failure
from .tools import Tools


def made(tools: Tools, folder: Path) -> dict[str, Path]:
    """Its files: CERT, KEY, and PEM with both in one. The key is for P-256, as most are that are made today."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"listener.{name.lower()}" for name in ("CERT", "KEY", "PEM")}
    argv = [
        tools.paths["openssl"], "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(files["KEY"]), "-out", str(files["CERT"]),
    ]
    told = subprocess.run(argv, capture_output=True, text=True, env=tools.env)
    if told.returncode != 0:
        raise Failure(f"openssl makes no certificate:\n{told.stderr}")
    files["PEM"].write_text(files["CERT"].read_text() + files["KEY"].read_text())
    return files
