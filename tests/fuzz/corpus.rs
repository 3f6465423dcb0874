//! The valid inputs that targets begin with.

/// Sites as JSON: the resources by type and name.
pub const SITES: [&str; 8] = [
    r#"{"file": {"/etc/motd": {"content": "hello\n", "mode": "0674", "owner": "root", "group": "adm", "backup": true,
        "acl": {"user:nobody": "rw-", "group:adm": "r-x"}, "capabilities": "cap_net_raw=ep", "flags": {"no_dump": true},
        "notifies": ["service:cron"], "tags": ["web"], "requires": ["directory:/srv"]},
        "/srv/b": {"ensure": "absent"}}, "service": {"cron": {"running": true}}, "directory": {"/srv": {}},
        "package": {"cron": {}}}"#,
    r#"{"file": {"/etc/app.json": {"json": {"a": [1, 2.5, null, {"b": "c"}], "d": true}},
        "/etc/app.toml": {"toml": {"a": {"b": 1}, "c": [1, 2]}}, "/etc/app.yaml": {"yaml": ["x", {"y": "no"}]},
        "/etc/app.ini": {"ini": {"s": {"k": "v"}}}}}"#,
    r#"{"directory": {"/srv/www": {"mode": "2775", "owner": "nobody", "recurse": true, "purge": true,
        "acl": {"group:adm": "rwx"}, "default_acl": {"user:nobody": "rwx"}}, "/srv/old": {"ensure": "absent", "recurse": true}}}"#,
    r#"{"symlink": {"/srv/current": {"target": "www/1", "owner": "nobody"}, "/etc/x": {"ensure": "absent"}}}"#,
    r#"{"user": {"deploy": {"uid": 2000, "primary_group": "deploy", "groups": {"adm": true}, "home": "/home/deploy",
        "shell": "/bin/bash", "gecos": "Deployment", "expires": "2030-01-31", "locked": true, "membership": "exactly",
        "authorized_keys": {"k": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}},
        "games": {"ensure": "absent"}}, "group": {"deploy": {"gid": 2000}}}"#,
    r#"{"package": {"nginx": {"hold": true, "recommends": false}, "curl": {"version": ">= 7"}, "nano": {"ensure": "absent"}},
        "package_manager": {"apt": {"lists_max_age": "1d"}}}"#,
    r#"{"service": {"app": {"running": true, "enabled": true, "on_change": "restart", "ready": "5s"}},
        "file": {"/etc/systemd/system/app.service":
        {"content": "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"}}}"#,
    r#"{"file": {"/etc/a": {"content": {"secret": "db/password"}, "mode": "0600", "validate": "visudo -c -f %"},
        "/etc/b": {"content": {"secret_template": "x={{db/password}}\n"}, "mode": "0600"}}}"#,
];

/// Resources that contradict each other.
pub const CONTRADICTIONS: [&str; 2] = [
    r#"{"file": {"/a": {"content": "1"}, "/a/b": {"content": "2"}}, "directory": {"/a/b/c": {}}, "symlink": {"/a/b": {}}}"#,
    r#"{"file": {"/a": {"content": "1", "requires": ["file:/b"]}, "/b": {"content": "2", "requires": ["file:/a"]}}}"#,
];

pub const UNITS: [&str; 6] = [
    "[Unit]\nDescription=A test\nAfter=network.target\nRequires=b.service\nConflicts=c.service\n[Service]\nType=notify\n\
     ExecStart=/bin/sleep infinity\nExecReload=/bin/true\nRestart=always\nRestartSec=0.2\nUser=nobody\n[Install]\n\
     WantedBy=multi-user.target\nAlias=nick.service\nAlso=app.socket\n",
    "[Timer]\nOnCalendar=Mon..Fri *-*-1/2 08:00/15:00\nOnBootSec=5min 20s\nOnUnitActiveSec=1h\nPersistent=true\n\
     Unit=app.service\n[Install]\nWantedBy=timers.target\n",
    "[Timer]\nOnCalendar=daily\nOnCalendar=2030-02-29\nOnActiveSec=1\nRandomizedDelaySec=1w\n",
    "[Socket]\nListenStream=/run/app.sock\nListenDatagram=127.0.0.1:53\nAccept=no\n[Install]\nWantedBy=sockets.target\n",
    "[Service]\nType=oneshot\nExecStart=/bin/true\nExecStart=-/bin/false\nRemainAfterExit=yes\nEnvironment=\"A=b c\" D=%i\n\
     ExecStartPre=/bin/sh -c 'exit 1' \\\n  continued\n# comment\n; another\n",
    "[Unit]\nBindsTo=app.timer\nPartOf=app.socket\nUpholds=b.service\nOnFailure=app.service\n[Path]\nPathExists=/etc/motd\n",
];

pub const SOURCES: [&str; 4] = [
    "deb http://deb.debian.org/debian bookworm main contrib\ndeb-src [arch=amd64 signed-by=/etc/k.gpg] http://x/ ./\n# c\n",
    "Types: deb deb-src\nURIs: http://deb.debian.org/debian\nSuites: trixie trixie-updates\nComponents: main\n\
     Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ\n -----END PGP PUBLIC KEY BLOCK-----\nEnabled: no\n\n",
    "deb cdrom:[Debian 12]/ bookworm main\ndeb [trusted=yes] file:/srv/repo ./\n",
    "deb tor+http://x/$(ARCH) a/ b\n",
];

pub const STATUS: [&str; 2] = [
    "Package: nginx\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\nMulti-Arch: same\n\
     Version: 1:1.22.1-9+deb12u1\nConffiles:\n /etc/nginx/nginx.conf 0123456789abcdef0123456789abcdef\n\
     Description: web server\n long\n .\n more\n\nPackage: curl\nStatus: hold ok half-configured\nArchitecture: all\n\
     Version: 7\nTriggers-Pending: ldconfig\n",
    "Package: nano\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 0~1\nAuto-Installed: 1\n\n",
];

pub const ACCOUNTS: [&str; 5] = [
    "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n",
    "root:x:0:\nadm:x:4:ada,root\nada:!:1000:\n",
    "root:*:19000:0:99999:7:::\nada:$y$j9T$salt$hash:19000:0:99999:7:30:20000:\n",
    "+::::::\n-bad\n# comment\n\nx\n:::::::::\n",
    "ada:x:4294967295:-1:::\n",
];

pub const ACCESS: [&str; 12] = [
    "user:nobody",
    "group:adm",
    "other:",
    "mask:",
    "user:4711",
    "rwx",
    "r-x",
    "---",
    "cap_net_bind_service,cap_net_raw=ep",
    "cap_63=eip cap_chown+p",
    "0644",
    "u=rwx",
];

pub const DURATIONS: [&str; 7] = ["90s", "5m", "12h", "1d", "2w", "0s", "1d 12h"];

pub const VERSIONS: [&str; 9] = [
    "1:1.22.1-9+deb12u1",
    "0~rc1",
    "2.0",
    "1.0-1ubuntu2",
    ">= 1.2, < 2",
    "= 1:3",
    "1.*",
    "999999999999999999999999",
    "a.b-c~~",
];

pub const NAMES: [&str; 10] = [
    "file:/etc/motd",
    "package:nginx",
    "web",
    "service:getty@tty1.service",
    "/srv/a b",
    "/",
    "//a/../b/.",
    "user={{db/password}}",
    "{{a}}{{command:sleep 30}}",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me",
];
