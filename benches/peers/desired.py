"""The same desired state, said to each tool in its own way."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

CFENGINE_MODULE = "/var/lib/cfengine3/modules/packages/vendored/apt_get"


@dataclass(frozen=True)
class User:
    name: str
    uid: int
    home: str
    shell: str


@dataclass(frozen=True)
class State:
    files: dict[str, str]
    packages: list[str] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    services: list[str] = field(default_factory=list)


def quoted(text: str) -> str:
    return json.dumps(text)


def provision(state: State, place: Path) -> None:
    lines = ["{", "  resources = {", "    file = {"]
    for path, content in state.files.items():
        lines.append(
            f'      {quoted(path)} = {{ content = {quoted(content)}, owner = "root", group = "root", mode = "0644" }},'
        )
    lines += ["    },", "    package = {"]
    lines += [f"      {quoted(name)} = {{}}," for name in state.packages]
    lines += ["    },", "    user = {"]
    for user in state.users:
        lines.append(
            f"      {quoted(user.name)} = "
            f"{{ uid = {user.uid}, home = {quoted(user.home)}, shell = {quoted(user.shell)} }},"
        )
    lines += ["    },", "    service = {"]
    lines += [f"      {quoted(name)} = {{ running = true, enabled = true }}," for name in state.services]
    lines += ["    },", "  },", "}"]
    write(place / "site.ncl", lines)


def cfengine(state: State, place: Path) -> None:
    lines = [
        "body common control",
        "{",
        '  inputs => { "/var/lib/cfengine3/masterfiles/lib/stdlib.cf" };',
        '  bundlesequence => { "peers" };',
        "}",
        "body package_module apt",
        "{",
        '  query_installed_ifelapsed => "0";',
        '  query_updates_ifelapsed => "1440";',
        '  interpreter => "/usr/bin/python3";',
        f"  module_path => {quoted(CFENGINE_MODULE)};",
        "}",
        "bundle agent peers",
        "{",
    ]
    lines.append("  files:")
    for path, content in state.files.items():
        lines.append(
            f'    {quoted(path)} create => "true", perms => mog("0644", "root", "root"), '
            f"content => {cfengine_quoted(content)};"
        )
    lines.append("  packages:")
    for name in state.packages:
        lines.append(f'    {quoted(name)} policy => "present", package_module => apt;')
    lines.append("  users:")
    for user in state.users:
        lines.append(
            f'    {quoted(user.name)} policy => "present", uid => "{user.uid}", '
            f"home_dir => {quoted(user.home)}, shell => {quoted(user.shell)};"
        )
    lines.append("  services:")
    for name in state.services:
        lines.append(f'    {quoted(name)} service_policy => "start";')
    lines.append("}")
    write(place / "promises.cf", lines)
    # cf-agent refuses a policy that others may write to.
    (place / "promises.cf").chmod(0o600)


def cfengine_quoted(text: str) -> str:
    """CFEngine knows no escape for the end of a line: it is written as it is."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def puppet(state: State, place: Path) -> None:
    lines = []
    for path, content in state.files.items():
        lines.append(
            f"file {{ {quoted(path)}: ensure => file, owner => 'root', group => 'root', mode => '0644', "
            f"content => {quoted(content)} }}"
        )
    if state.packages:
        lines.append(f"package {{ {json.dumps(state.packages)}: ensure => installed }}")
    for user in state.users:
        lines.append(
            f"user {{ {quoted(user.name)}: ensure => present, uid => {user.uid}, "
            f"home => {quoted(user.home)}, shell => {quoted(user.shell)} }}"
        )
    if state.services:
        lines.append(f"service {{ {json.dumps(state.services)}: ensure => running, enable => true }}")
    write(place / "site.pp", lines)


def ansible(state: State, place: Path) -> None:
    tasks = [
        {
            "name": "files",
            "ansible.builtin.copy": {
                "dest": "{{ item.path }}",
                "content": "{{ item.content }}",
                "owner": "root",
                "group": "root",
                "mode": "0644",
            },
            "loop": [{"path": path, "content": content} for path, content in state.files.items()],
            "loop_control": {"label": "{{ item.path }}"},
        }
    ]
    if state.packages:
        tasks.append({"name": "packages", "ansible.builtin.apt": {"name": state.packages, "state": "present"}})
    if state.users:
        tasks.append(
            {
                "name": "users",
                "ansible.builtin.user": {
                    "name": "{{ item.name }}",
                    "uid": "{{ item.uid }}",
                    "home": "{{ item.home }}",
                    "shell": "{{ item.shell }}",
                },
                "loop": [asdict(user) for user in state.users],
            }
        )
    if state.services:
        tasks.append(
            {
                "name": "services",
                "ansible.builtin.systemd_service": {"name": "{{ item }}", "state": "started", "enabled": True},
                "loop": state.services,
            }
        )
    # JSON is YAML.
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    write(place / "play.yml", [json.dumps(play, indent=1)])
    settings = ["interpreter_python = /usr/bin/python3", "display_ok_hosts = False"]
    write(place / "ansible.cfg", ["[defaults]", *settings, "[connection]", "pipelining = True"])


def pyinfra(state: State, place: Path) -> None:
    lines = ["from io import StringIO", "from pyinfra.operations import apt, files, server, systemd"]
    for path, content in state.files.items():
        lines.append(
            f"files.put(src=StringIO({content!r}), dest={path!r}, user='root', group='root', mode='644')"
        )
    if state.packages:
        lines.append(f"apt.packages(packages={state.packages!r})")
    for user in state.users:
        lines.append(f"server.user(user={user.name!r}, uid={user.uid}, home={user.home!r}, shell={user.shell!r})")
    for name in state.services:
        lines.append(f"systemd.service(service={name!r}, running=True, enabled=True)")
    write(place / "deploy.py", lines)


def salt(state: State, place: Path) -> None:
    tree = {}
    for path, content in state.files.items():
        tree[path] = {
            "file.managed": [{"contents": content}, {"user": "root"}, {"group": "root"}, {"mode": "0644"}]
        }
    if state.packages:
        tree["packages"] = {"pkg.installed": [{"pkgs": state.packages}]}
    for user in state.users:
        wanted = [{"name": user.name}, {"uid": user.uid}, {"home": user.home}, {"shell": user.shell}]
        tree[f"user {user.name}"] = {"user.present": wanted}
    for name in state.services:
        tree[f"service {name}"] = {"service.running": [{"name": name}, {"enable": True}]}
    (place / "states").mkdir(exist_ok=True)
    # JSON is YAML.
    write(place / "states" / "top.sls", [json.dumps({"base": {"*": ["peers"]}})])
    write(place / "states" / "peers.sls", ["#!yaml", json.dumps(tree, indent=1)])
    minion = {
        "id": "peers",
        "file_client": "local",
        "file_roots": {"base": [str(place / "states")]},
        "state_verbose": False,
    }
    write(place / "minion", [json.dumps(minion)])


def floor(state: State, place: Path) -> None:
    write(place / "paths", list(state.files))


def write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
