"""The two builds: instrumented, and guided by the profile."""

import hashlib
import re
import subprocess
from pathlib import Path

from driver.tools import TARGET, Flags, built, say

from .profile import merge
from .training import train

_FOLDER = TARGET / "guided"


def guided() -> str:
    """Where the guided program is, made anew if the sources have changed."""
    host = re.search(r"^host: (\S+)$", subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout, re.MULTILINE).group(1)
    taught = built("dist", "--bin", "crossfade", Flags(f"-Cprofile-generate={_FOLDER / 'unnamed'}", host, _FOLDER / "instrumented"))
    profile = _FOLDER / f"{_fingerprint(Path(taught))}.profdata"
    if not profile.exists():
        for old in _FOLDER.glob("*.profdata"):
            old.unlink()
        fresh = profile.with_suffix(".fresh")
        merge(train(taught, _FOLDER / "training"), fresh)
        fresh.rename(profile)
    else:
        say("the profile is up to date")
    # The profile's name is in the flags, so that another profile is another build.
    return built("dist", "--bin", "crossfade", Flags(f"-Cprofile-use={profile}", host, _FOLDER / "build"))


def _fingerprint(program: Path) -> str:
    """Of the instrumented program and of what trains it."""
    digest = hashlib.sha256(program.read_bytes())
    here = Path(__file__).resolve().parents[1]
    for source in sorted([*here.glob("*.toml"), *here.glob("driver/*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
