"""Brings the same state about with several tools on this host, and measures what finding it unchanged costs each."""

import os
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import desired
from tools import TOOLS, Ended, Refused, Tool, last_line

HERE = Path(__file__).resolve().parent
FILES = Path("/srv/peers")
REPETITIONS = int(os.environ.get("REPETITIONS", "5"))
# A tool that has run for so long in a scenario is not run again.
ENOUGH_SECONDS = 60
LONGEST_PREDICTED_SECONDS = 150
LONGEST_SECONDS = 600


@dataclass
class Row:
    tool: Tool
    runs: list[Ended] = field(default_factory=list)
    processes: str = "?"
    remark: str = ""

    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)


def main() -> None:
    sizes = {"files-100": 100, "files-1000": 1000, "files-10000": 10_000, "mixed": 100}
    chosen = sys.argv[1:] or list(sizes)
    unknown = set(chosen) - set(sizes)
    if unknown:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(sizes)}")
    # What many files would take is predicted by fewer.
    most = max((sizes[name] for name in chosen if name != "mixed"), default=0)
    chosen = [name for name in sizes if name in chosen or (name != "mixed" and sizes[name] <= most)]
    print(machine())
    seconds_at: dict[str, dict[int, float]] = {}
    for scenario in chosen:
        mixed = scenario == "mixed"
        state = bring_about(sizes[scenario], mixed)
        rows = [Row(tool) for tool in TOOLS if not (mixed and tool.name == "floor")]
        for row in rows:
            known = {} if mixed else seconds_at.setdefault(row.tool.name, {})
            prepare(row, state, predicted(known, len(state.files)))
        measure(rows)
        for row in rows:
            if row.runs and not mixed:
                seconds_at[row.tool.name][len(state.files)] = row.seconds()
        print(table(scenario, state, rows), flush=True)


def machine() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processors = f"{os.cpu_count()} × {model[1] if model else 'unknown'}"
    return f"Debian {Path('/etc/debian_version').read_text().strip()}, Linux {os.uname().release}, {processors}"


def bring_about(count: int, mixed: bool) -> desired.State:
    """The state that all tools are to find, made by none of them."""
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir(parents=True)
    numbers = range(count)
    state = desired.State({f"{FILES}/f{number:05}": f"file {number} of {count}\nhas two lines\n" for number in numbers})
    for path, content in state.files.items():
        Path(path).write_text(content)
    if mixed:
        installed = subprocess.check_output(["dpkg-query", "-W", "-f", "${Package}\n"], text=True)
        state.packages.extend(sorted(installed.split())[:50])
        for number in range(10):
            user = desired.User(f"member{number}", 5000 + number, f"/home/member{number}", "/bin/bash")
            state.users.append(user)
            ask("useradd", "-m", "-U", "-u", str(user.uid), "-d", user.home, "-s", user.shell, user.name)
            service = f"waits{number}"
            state.services.append(service)
            Path(f"/etc/systemd/system/{service}.service").write_text(
                "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
            )
        ask("systemctl", "daemon-reload")
        ask("systemctl", "enable", "--quiet", "--now", *state.services)
    for tool in TOOLS:
        for directory in tool.remembers:
            empty(Path(directory))
        shutil.rmtree(tool.place(), ignore_errors=True)
        tool.place().mkdir(parents=True)
        tool.write(state, tool.place())
    return state


def empty(directory: Path) -> None:
    for entry in directory.glob("*"):
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def ask(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def predicted(known: dict[int, float], size: int) -> float:
    if not known:
        return 0
    (small, least), (large, most) = min(known.items()), max(known.items())
    if small == large:
        return most * size / large
    return most + (most - least) / (large - small) * (size - large)


def prepare(row: Row, state: desired.State, prediction: float) -> None:
    """Proves that the tool brings the state about, and sees what is not as it should be."""
    tool = row.tool
    try:
        if shutil.which(tool.argv[0]) is None:
            why = HERE / "absent" / tool.package
            raise Refused(f"absent: {last_line(why.read_text()) if why.exists() else 'not installed'}")
        if prediction > LONGEST_PREDICTED_SECONDS:
            raise Refused(f"> {LONGEST_PREDICTED_SECONDS} s, not run")
        log(f"{tool.name}: {len(state.files)} files, proof")
        for _ in range(3):
            if tool.in_sync(ended := run(tool)):
                break
        else:
            raise Refused(f"is not in sync after three runs: {last_line(ended.said)}")
        if tool.write is not desired.floor:
            disturb(state)
            tool.in_sync(run(tool))
            if wrong := differences(state):
                raise Refused(f"does not put right: {', '.join(wrong[:3])}")
            if not tool.in_sync(run(tool)):
                raise Refused("changes something in every run")
        row.processes = processes(tool)
    except (Refused, subprocess.CalledProcessError) as error:
        row.remark = str(error)
        log(f"{tool.name}: {error}")
        # The next tool begins with what all begin with.
        restore(state)


def disturb(state: desired.State) -> None:
    paths = list(state.files)
    edited = Path(paths[len(paths) // 2])
    edited.write_text(edited.read_text().replace("two", "too"))
    Path(paths[len(paths) // 3]).chmod(0o600)
    if state.services:
        ask("systemctl", "stop", state.services[3])
        ask("systemctl", "disable", "--quiet", state.services[5])
    if state.users:
        ask("usermod", "-s", "/bin/sh", state.users[4].name)


def restore(state: desired.State) -> None:
    for path, content in state.files.items():
        Path(path).write_text(content)
        Path(path).chmod(0o644)
    for user in state.users:
        subprocess.run(["usermod", "-s", user.shell, user.name], check=True, stdout=subprocess.DEVNULL)
    if state.services:
        ask("systemctl", "enable", "--quiet", "--now", *state.services)


def differences(state: desired.State) -> list[str]:
    found = []
    for path, content in state.files.items():
        try:
            status = os.lstat(path)
            if Path(path).read_text() != content:
                found.append(f"content of {path}")
        except OSError as error:
            found.append(str(error))
            continue
        if (status.st_uid, status.st_gid, status.st_mode & 0o7777) != (0, 0, 0o644):
            found.append(f"owner or mode of {path}")
    for user in state.users:
        entry = pwd.getpwnam(user.name)
        if (entry.pw_uid, entry.pw_dir, entry.pw_shell) != (user.uid, user.home, user.shell):
            found.append(f"user {user.name}")
    for name in state.services:
        for question in ("is-active", "is-enabled"):
            if subprocess.run(["systemctl", "--quiet", question, name], check=False).returncode:
                found.append(f"{name} {question}")
    return found


def run(tool: Tool, *before: str) -> Ended:
    """Runs the tool as it is measured. What it says goes to a file, so that the tool never waits for a reader."""
    report, said = HERE / "report", HERE / "said"
    with said.open("w") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            [HERE / "meter", report, *before, *tool.argv],
            cwd=tool.place(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Refused(f"did not end within {LONGEST_SECONDS} s") from None
    log(f"  {tool.name}: {time.monotonic() - begin:.1f} s, exit code {code}")
    microseconds, cpu, kilobytes = map(int, report.read_text().split())
    return Ended(code, said.read_text(errors="replace"), microseconds / 1e6, cpu / 1e6, kilobytes)


def processes(tool: Tool) -> str:
    """How many processes the run starts beside its own; threads are none."""
    trace = HERE / "trace"
    trace.unlink(missing_ok=True)
    calls = ["-e", "trace=clone,clone3,fork,vfork"]
    ended = run(tool, "strace", "-f", "-qq", "--seccomp-bpf", *calls, "-o", str(trace))
    if not trace.exists():
        log(f"  strace: {last_line(ended.said)}")
        return "?"
    if not tool.in_sync(ended):
        raise Refused("changes something in every run")
    begun = re.findall(r"^\d+ +(?:clone3?|v?fork)\((?!.*CLONE_THREAD)(?!.* = -1 ).*$", trace.read_text(), re.MULTILINE)
    return f"{len(begun):,}"


def measure(rows: list[Row]) -> None:
    """All in turn, so that what else happens on the machine meets all of them."""
    for _ in range(REPETITIONS):
        for row in rows:
            if row.remark or sum(ended.seconds for ended in row.runs) > ENOUGH_SECONDS:
                continue
            try:
                ended = run(row.tool)
                if not row.tool.in_sync(ended):
                    raise Refused("changed something while it was measured")
            except Refused as error:
                row.remark, row.runs = str(error), []
            else:
                row.runs.append(ended)


def table(scenario: str, state: desired.State, rows: list[Row]) -> str:
    titles = ["tool", "time", "CPU", "memory", "processes", "time / floor", "time / provision"]
    medians = {row.tool.name: row.seconds() for row in rows if row.runs}
    references = [medians.get("floor"), medians.get("provision")]
    if "floor" not in [row.tool.name for row in rows]:
        titles.remove("time / floor")
        references = references[1:]
    counts = [f"{len(state.files):,} files"]
    for name in ("packages", "users", "services"):
        if few := getattr(state, name):
            counts.append(f"{len(few)} {name}")
    lines = [f"\n## {scenario}: {', '.join(counts)}, all in sync\n"]
    lines.append("| " + " | ".join(titles) + " |")
    lines.append("|---" + "|--:" * (len(titles) - 1) + "|")
    for row in rows:
        cells = [titled(row.tool)]
        if row.runs:
            cpu = statistics.median(ended.cpu for ended in row.runs)
            kilobytes = statistics.median(ended.kilobytes for ended in row.runs)
            cells += [span(row.seconds()), span(cpu), f"{kilobytes / 1024:.1f} MiB", row.processes]
            cells += [ratio(row.seconds() / reference) if reference else "–" for reference in references]
        else:
            cells += [row.remark] + ["–"] * (len(titles) - 2)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def titled(tool: Tool) -> str:
    if not tool.version or shutil.which(tool.version[0]) is None:
        return tool.name
    said = subprocess.run(tool.version, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
    number = re.search(r"\d+(\.\d+)+", said)
    return f"{tool.name} {number[0]}" if number else tool.name


def span(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds * 1000:.2f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s"


def ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def log(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
