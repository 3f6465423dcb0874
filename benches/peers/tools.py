"""The tools: how each is run, and how it says that nothing was to be changed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import desired

HERE = Path(__file__).resolve().parent
SITES = Path("/root/peers")


class Refused(Exception):
    """Why there are no numbers of a tool."""


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    seconds: float
    cpu: float = 0
    kilobytes: int = 0


@dataclass(frozen=True)
class Tool:
    name: str
    argv: list[str]
    version: list[str]
    write: Callable[[desired.State, Path], None]
    in_sync: Callable[[Ended], bool]
    # What it remembers of earlier runs.
    remembers: tuple[str, ...] = ()
    package: str = ""

    def place(self) -> Path:
        return SITES / self.write.__name__


def by_code(unchanged: int, changed: int) -> Callable[[Ended], bool]:
    def in_sync(ended: Ended) -> bool:
        if ended.code not in (unchanged, changed):
            raise Refused(f"exit code {ended.code}: {last_line(ended.said)}")
        return ended.code == unchanged

    return in_sync


def by_words(pattern: str) -> Callable[[Ended], bool]:
    def in_sync(ended: Ended) -> bool:
        if ended.code != 0:
            raise Refused(f"exit code {ended.code}: {last_line(ended.said)}")
        return re.search(pattern, ended.said, re.MULTILINE) is not None

    return in_sync


def last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200].replace("|", "/") if lines else "no word"


PROVISION = ["provision", "apply", "--detailed-exitcode"]
PROVISION_REMEMBERS = ("/var/lib/provision", "/var/cache/provision")
TOOLS = [
    Tool("floor", [f"{HERE}/floor", "paths"], [], desired.floor, by_code(0, 0)),
    Tool(
        "provision",
        [*PROVISION, "site.ncl"],
        ["provision", "--version"],
        desired.provision,
        by_code(0, 2),
        PROVISION_REMEMBERS,
    ),
    Tool(
        "provision --no-cache",
        [*PROVISION, "--no-cache", "site.ncl"],
        ["provision", "--version"],
        desired.provision,
        by_code(0, 2),
        PROVISION_REMEMBERS,
    ),
    Tool(
        "CFEngine",
        ["cf-agent", "-KIf", str(SITES / "cfengine/promises.cf")],
        ["cf-agent", "--version"],
        desired.cfengine,
        # In the mode that informs, it says what it changes and what it cannot do, and nothing else.
        by_words(r"\A\s*\Z"),
        ("/var/lib/cfengine3/state",),
        "cfengine3",
    ),
    Tool(
        "Puppet",
        ["puppet", "apply", "--detailed-exitcodes", "site.pp"],
        ["puppet", "--version"],
        desired.puppet,
        by_code(0, 2),
        ("/var/cache/puppet", "/var/lib/puppet"),
        "puppet-agent",
    ),
    Tool(
        "Salt",
        ["/opt/salt/bin/salt-call", "--local", f"--config-dir={SITES}/salt", "--retcode-passthrough", "state.apply"],
        ["/opt/salt/bin/salt-call", "--version"],
        desired.salt,
        by_words(r"^Succeeded: \d+\s*$"),
        ("/var/cache/salt",),
        "salt",
    ),
    Tool(
        "pyinfra",
        ["/opt/pyinfra/bin/pyinfra", "@local", "deploy.py", "-y"],
        ["/opt/pyinfra/bin/pyinfra", "--version"],
        desired.pyinfra,
        # The columns: how many, success, error, no change.
        by_words(r"Grand total\s+\d+\s+-\s+-\s+\d+\s*$"),
        (),
        "pyinfra",
    ),
    Tool(
        "Ansible",
        ["/opt/ansible-core/bin/ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"],
        ["/opt/ansible-core/bin/ansible", "--version"],
        desired.ansible,
        by_words(r"changed=0 .*failed=0"),
        (),
        "ansible-core",
    ),
]
