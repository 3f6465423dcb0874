//! Random scenarios: what a host begins with, and a site.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use provision_core::effect::{
    Access, AttributeChanges, CreateUser, Effect, PackageOptions, PackageRequest, PackageTransaction, PlatformEffect,
    Removal, UnitAction, UserChanges, WriteFile,
};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::ResourceId;
use provision_core::site::{RawDeclaration, Site};
use provision_resources::registry;
use serde_json::{Value, json};

/// What a host begins with, and what a site declares.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is done to the host before.
    pub before: Vec<Effect>,
    /// Resources: type, name, attributes.
    pub resources: Vec<(&'static str, &'static str, Value)>,
}

const FILES: &[&str] = &["/srv/a/one", "/srv/a/two", "/srv/b/c/three", "/etc/app.conf", "/srv/plain", "/srv/a"];
const DIRECTORIES: &[&str] = &["/srv/a", "/srv/b", "/srv/b/c", "/srv/plain", "/opt/app"];
const LINKS: &[&str] = &["/srv/link", "/srv/a/link", "/srv/b", "/opt/current"];
const USERS: &[&str] = &["anna", "bert", "daemonized"];
const GROUPS: &[&str] = &["media", "staffers", "anna"];
const PACKAGES: &[&str] = &["hello", "less", "tree", "cron", "bc", "time", "at"];
/// Packages with configuration files, and those.
const CONFIGURED: &[&str] = &["at", "cron"];
const CONFFILES: &[&str] = &["/etc/at.deny", "/etc/pam.d/atd", "/etc/default/cron", "/etc/pam.d/cron", "/etc/crontab"];
const UNITS: &[&str] =
    &["app", "cron", "app.timer", "apt-daily.timer", "atd", "app.socket", "app-part", "app-needs", "app-asks"];
const MODES: &[&str] = &["0644", "0600", "0755", "2775", "0640", "1777", "4755"];

const APP: &str =
    "[Unit]\nDescription=A test\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
const TIMER: &str = "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n";
const SOCKET: &str = "[Socket]\nListenStream=/run/app.sock\n[Install]\nWantedBy=sockets.target\n";

/// Units that depend on `app.service`, each in its own way.
const TIED: &[(&str, &str)] = &[
    ("/etc/systemd/system/app-part.service", "PartOf=app.service"),
    ("/etc/systemd/system/app-needs.service", "BindsTo=app.service\nAfter=app.service"),
    ("/etc/systemd/system/app-asks.service", "Requisite=app.service\nAfter=app.service"),
];

pub fn scenarios() -> impl Strategy<Value = Scenario> {
    (vec(before(), 0..6), vec(resource(), 1..8)).prop_map(|(before, mut resources)| {
        // A name can be declared once.
        let mut seen = std::collections::BTreeSet::new();
        resources.retain(|(kind, name, _)| seen.insert((*kind, *name)));
        Scenario { before: before.into_iter().flatten().collect(), resources }
    })
}

fn path(text: &str) -> HostPath {
    HostPath::new(text).expect("an absolute path")
}

fn owner() -> impl Strategy<Value = &'static str> {
    select(&["root", "root", "daemon", "anna", "www-data"][..])
}

fn texts() -> impl Strategy<Value = &'static str> {
    select(&["", "one\n", "two\nlines\n", "no end"][..])
}

fn access() -> impl Strategy<Value = Access> {
    (select(&["root", "daemon"][..]), select(&["root", "adm"][..]), select(&[0o644, 0o600, 0o755, 0o2755][..]))
        .prop_map(|(owner, group, mode)| Access { owner: owner.into(), group: group.into(), mode: Mode::new(mode) })
}

/// What was done to a host before; some of it only works after something else.
fn before() -> impl Strategy<Value = Vec<Effect>> {
    prop_oneof![
        3 => (select(FILES), texts(), access()).prop_map(|(at, text, access)| {
            vec![Effect::WriteFile(WriteFile::new(path(at), text, access))]
        }),
        3 => (select(DIRECTORIES), access()).prop_map(|(at, access)| {
            vec![Effect::CreateDirectory { path: path(at), access, attributes: AttributeChanges::default() }]
        }),
        2 => (select(LINKS), select(&["/srv/a", "/etc", "../nowhere"][..])).prop_map(|(at, target)| {
            vec![Effect::CreateSymlink { path: path(at), target: target.into(), owner: "root".into(), group: "root".into() }]
        }),
        2 => select(USERS).prop_map(|name| {
            let user = CreateUser { name: name.into(), system: false, create_home: true, attributes: UserChanges::default() };
            vec![Effect::Platform(PlatformEffect::CreateUser(user))]
        }),
        1 => select(GROUPS).prop_map(|name| vec![Effect::Platform(PlatformEffect::CreateGroup { name: name.into(), gid: None, system: false })]),
        1 => Just(vec![
            Effect::CreateDirectory { path: path("/etc/systemd/system"), access: root(), attributes: AttributeChanges::default() },
            Effect::WriteFile(WriteFile::new(path("/etc/systemd/system/app.service"), APP, Access { mode: Mode::new(0o644), ..root() })),
            Effect::Platform(PlatformEffect::ReloadUnits),
        ]),
        2 => select(TIED).prop_map(|(at, relation)| {
            [unit_file("/etc/systemd/system/app.service", APP), unit_file(at, &tied(relation))].concat()
        }),
        1 => Just([unit_file("/etc/systemd/system/app.socket", SOCKET), unit_file("/etc/systemd/system/app.service", APP)].concat()),
        2 => configured(),
        // `hello-traditional` stands for `hello`, and was not recorded.
        1 => (select(&["time", "tree", "*"][..]), select(&["release *", "version 0*", "release n=trixie"][..]), select(&[-1, 700][..]))
            .prop_map(|(package, wanted, priority)| {
                let text = format!("Package: {package}\nPin: {wanted}\nPin-Priority: {priority}\n");
                let access = Access { mode: Mode::new(0o644), ..root() };
                vec![Effect::WriteFile(WriteFile::new(path("/etc/apt/preferences.d/parity"), text, access))]
            }),
        1 => (select(CONFIGURED), any::<bool>()).prop_map(|(name, all)| {
            let text = if all { "disable *\n".to_owned() } else { format!("disable {name}.service\n") };
            let at = path("/etc/systemd/system-preset/00-parity.preset");
            vec![
                Effect::CreateDirectory { path: path("/etc/systemd/system-preset"), access: root(), attributes: AttributeChanges::default() },
                Effect::WriteFile(WriteFile::new(at, text, Access { mode: Mode::new(0o644), ..root() })),
            ]
        }),
        3 => (select(&["app.service", "apt-daily.timer", "app.socket", "app-part.service", "app-needs.service", "app-asks.service", "cron.service"][..]), select(&[
            UnitAction::Enable, UnitAction::Disable, UnitAction::Mask, UnitAction::Start, UnitAction::Start,
            UnitAction::Start, UnitAction::Stop, UnitAction::Restart,
        ][..])).prop_map(|(unit, action)| vec![Effect::Platform(PlatformEffect::Unit { unit: unit.into(), action })]),
        1 => select(&["bash", "apt", "cron", "hello"][..]).prop_map(|name| {
            vec![Effect::Platform(PlatformEffect::Packages(PackageTransaction { hold: vec![name.into()], ..PackageTransaction::default() }))]
        }),
        1 => select(FILES).prop_map(|at| vec![Effect::Remove { path: path(at), what: Removal::File }]),
    ]
}

fn root() -> Access {
    Access { owner: "root".into(), group: "root".into(), mode: Mode::new(0o755) }
}

fn install(name: &str) -> Effect {
    let request = PackageRequest { name: name.into(), version: None };
    // Not all that they recommend was recorded.
    let options = PackageOptions { recommends: false, ..PackageOptions::default() };
    Effect::Platform(PlatformEffect::Packages(PackageTransaction {
        install: vec![request],
        options,
        ..PackageTransaction::default()
    }))
}

/// What happened to packages and their configuration files before.
fn configured() -> impl Strategy<Value = Vec<Effect>> {
    let take = |name: &str, purge: bool| {
        let (gone, none) = (vec![name.to_owned()], Vec::new());
        let (remove, purge) = if purge { (none, gone) } else { (gone, none) };
        Effect::Platform(PlatformEffect::Packages(PackageTransaction {
            remove,
            purge,
            ..PackageTransaction::default()
        }))
    };
    let hold = |name: &str| {
        Effect::Platform(PlatformEffect::Packages(PackageTransaction {
            hold: vec![name.into()],
            ..PackageTransaction::default()
        }))
    };
    let edits = vec((select(CONFFILES), texts(), access(), gone()), 0..3);
    (select(CONFIGURED), 0u8..6, edits, 0u8..5).prop_map(move |(name, kind, edits, after)| {
        let mut effects = Vec::new();
        if kind > 0 {
            effects.push(install(name));
        }
        effects.extend(edits.into_iter().map(|(at, text, access, gone)| match gone {
            true => Effect::Remove { path: path(at), what: Removal::File },
            false => Effect::WriteFile(WriteFile::new(path(at), text, access)),
        }));
        match after {
            0 => effects.push(take(name, false)),
            1 => effects.push(take(name, true)),
            2 => effects.extend([take(name, false), install(name)]),
            3 => effects.push(hold(name)),
            _ => {}
        }
        effects
    })
}

/// A unit file, read by the service manager.
fn unit_file(at: &str, text: &str) -> Vec<Effect> {
    let access = Access { owner: "root".into(), group: "root".into(), mode: Mode::new(0o644) };
    vec![Effect::WriteFile(WriteFile::new(path(at), text, access)), Effect::Platform(PlatformEffect::ReloadUnits)]
}

fn tied(relation: &str) -> String {
    format!("[Unit]\n{relation}\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
}

type Declared = (&'static str, &'static str, Value);

fn resource() -> impl Strategy<Value = Declared> {
    prop_oneof![
        4 => file(),
        3 => directory(),
        2 => symlink(),
        3 => user(),
        2 => group(),
        2 => package(),
        2 => service(),
        2 => cron_job(),
        1 => trigger(),
        1 => apt_pin(),
        1 => settings(),
        1 => unit_dropin(),
        2 => unit(),
        1 => timer(),
        1 => Just(("file", "/etc/systemd/system/app.service", json!({ "content": APP, "notifies": [] }))),
        1 => Just(("file", "/etc/systemd/system/app.timer", json!({ "content": TIMER }))),
        1 => Just(("file", "/etc/systemd/system/app.socket", json!({ "content": SOCKET }))),
        1 => select(TIED).prop_map(|(at, relation)| ("file", at, json!({ "content": tied(relation) }))),
        2 => conffile(),
    ]
}

fn gone() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.2)
}

fn file() -> impl Strategy<Value = Declared> {
    (select(FILES), texts(), owner(), select(MODES), gone(), any::<(bool, bool)>()).prop_map(
        |(name, text, owner, mode, gone, (backup, once))| {
            let attributes = match gone {
                true => json!({ "ensure": "absent" }),
                false if once => json!({ "content": text, "replace": "once", "mode": mode }),
                false => json!({ "content": text, "owner": owner, "mode": mode, "backup": backup }),
            };
            ("file", name, attributes)
        },
    )
}

fn conffile() -> impl Strategy<Value = Declared> {
    (select(CONFFILES), texts(), select(MODES), gone()).prop_map(|(name, text, mode, gone)| {
        let attributes = match gone {
            true => json!({ "ensure": "absent" }),
            false => json!({ "content": text, "mode": mode }),
        };
        ("file", name, attributes)
    })
}

fn directory() -> impl Strategy<Value = Declared> {
    (select(DIRECTORIES), owner(), select(MODES), gone(), any::<(bool, bool)>()).prop_map(
        |(name, owner, mode, gone, (recurse, purge))| {
            let attributes = match gone {
                true => json!({ "ensure": "absent", "recurse": recurse }),
                false if recurse => json!({ "owner": owner, "recurse": true }),
                false => json!({ "owner": owner, "mode": mode, "purge": purge }),
            };
            ("directory", name, attributes)
        },
    )
}

fn symlink() -> impl Strategy<Value = Declared> {
    (select(LINKS), select(&["/srv/a", "/etc/app.conf", "../x"][..]), gone(), any::<bool>()).prop_map(
        |(name, target, gone, force)| {
            let attributes =
                if gone { json!({ "ensure": "absent" }) } else { json!({ "target": target, "force": force }) };
            ("symlink", name, attributes)
        },
    )
}

fn user() -> impl Strategy<Value = Declared> {
    let shells = select(&["/bin/bash", "/bin/sh", "/usr/sbin/nologin"][..]);
    (select(USERS), shells, gone(), any::<(bool, bool, bool)>(), 0u8..4).prop_map(
        |(name, shell, gone, (system, locked, home), groups)| {
            let mut attributes = json!({ "shell": shell, "system": system });
            if gone {
                return ("user", name, json!({ "ensure": "absent" }));
            }
            if locked {
                attributes["locked"] = json!(true);
            }
            if home {
                attributes["home"] = json!("/srv/homes");
            }
            if groups > 1 {
                attributes["groups"] = json!({ "adm": groups == 2, "www-data": true });
            }
            ("user", name, attributes)
        },
    )
}

fn group() -> impl Strategy<Value = Declared> {
    (select(GROUPS), gone(), 0u8..4, any::<bool>()).prop_map(|(name, gone, kind, system)| {
        let attributes = match kind {
            _ if gone => json!({ "ensure": "absent" }),
            0 => json!({ "gid": 4711 }),
            1 => json!({ "members": ["daemon"] }),
            _ => json!({ "system": system }),
        };
        ("group", name, attributes)
    })
}

fn cron_job() -> impl Strategy<Value = Declared> {
    let schedules = select(&["@daily", "30 3 * * 1-5"][..]);
    (select(&["backup", "report"][..]), schedules, select(USERS), gone(), any::<bool>()).prop_map(
        |(name, schedule, user, gone, of_root)| {
            let user = if of_root { "root" } else { user };
            let attributes = match gone {
                true => json!({ "ensure": "absent" }),
                false => json!({ "schedule": schedule, "command": "date +%d", "user": user }),
            };
            ("cron", name, attributes)
        },
    )
}

fn apt_pin() -> impl Strategy<Value = Declared> {
    (select(PACKAGES), select(&[-1, 100, 990][..]), gone()).prop_map(|(package, priority, gone)| {
        let attributes = match gone {
            true => json!({ "ensure": "absent" }),
            false => json!({ "packages": [package], "pin": "release o=Debian", "priority": priority }),
        };
        ("apt_pin", "test", attributes)
    })
}

/// Files of settings, which are alike to the model.
fn settings() -> impl Strategy<Value = Declared> {
    let declared = [
        ("journald", "60-test", json!({ "settings": { "SystemMaxUse": "100M" } })),
        ("apt_config", "60-test", json!({ "settings": { "APT::Install-Suggests": false } })),
        ("tmpfiles", "test", json!({ "entries": { "/run/test": { "type": "d", "user": "anna" } } })),
        ("unattended_upgrades", "test", json!({ "exclude": ["linux-"] })),
        ("password_policy", "test", json!({ "settings": { "minlen": 12 } })),
        ("sysctl", "net.ipv4.tcp_fin_timeout", json!({ "value": 31 })),
        ("sysctl", "net.ipv4.ip_forward", json!({ "value": true, "order": 70 })),
        ("sysctl", "kernel.sysrq", json!({ "value": 0, "apply": false })),
        ("sysctl", "net.ipv4.no_such_key", json!({ "value": 0 })),
        (
            "apt_source",
            "test",
            json!({ "uris": ["file:/srv/packages"], "suites": ["./"], "options": { "Trusted": true } }),
        ),
        ("pam_limits", "test", json!({ "domain": "anna", "settings": { "nproc": 500 } })),
        ("sudoers", "test", json!({ "users": ["anna"], "commands": ["/bin/true"] })),
        ("validation", "test", json!({ "command": "true", "paths": ["/srv/a", "/etc/app.conf"] })),
        ("logrotate", "test", json!({ "paths": ["/var/log/test.log"], "settings": { "daily": true } })),
    ];
    (select(declared.to_vec()), gone()).prop_map(|((kind, name, attributes), gone)| {
        let gone = gone && kind != "validation";
        (kind, name, if gone { json!({ "ensure": "absent" }) } else { attributes })
    })
}

fn unit_dropin() -> impl Strategy<Value = Declared> {
    let units = select(&["app.service/nice", "cron.service/nice", "apt-daily.timer/nice", "service/nice"][..]);
    (units, gone(), any::<bool>()).prop_map(|(name, gone, other)| {
        let attributes = match gone {
            true => json!({ "ensure": "absent" }),
            false if other || name.contains("timer") => json!({ "settings": { "Unit": { "Description": "another" } } }),
            false => json!({ "settings": { "Service": { "Nice": 5, "Environment": ["A=b", null] } } }),
        };
        ("unit_dropin", name, attributes)
    })
}

fn unit() -> impl Strategy<Value = Declared> {
    (select(&["app.service", "app.timer", "cron.service"][..]), gone(), any::<bool>()).prop_map(
        |(name, gone, hides)| {
            let attributes = match name {
                _ if gone => json!({ "ensure": "absent" }),
                "app.timer" => json!({ "content": TIMER }),
                _ => json!({ "content": APP, "override": hides }),
            };
            ("unit", name, attributes)
        },
    )
}

fn timer() -> impl Strategy<Value = Declared> {
    let calendars = select(&["yearly", "Sat *-*-1..7 03:30", "2030-01-01 UTC"][..]);
    (select(&["app", "job"][..]), calendars, gone(), any::<bool>()).prop_map(|(name, calendar, gone, has_command)| {
        let attributes = match has_command {
            _ if gone => json!({ "ensure": "absent" }),
            true => json!({ "calendar": calendar, "command": "true 50%", "user": "daemon" }),
            false => json!({ "calendar": calendar, "unit": "apt-daily.service", "accuracy": "1h" }),
        };
        ("timer", name, attributes)
    })
}

fn trigger() -> impl Strategy<Value = Declared> {
    (select(&["/srv/a", "/etc/app.conf", "/opt/app"][..]), any::<bool>()).prop_map(|(source, is_file)| {
        let products: &[&str] = if is_file { &["/srv/plain"] } else { &[] };
        let command = if is_file { json!(["touch", "/srv/plain"]) } else { json!("true") };
        ("trigger", "made", json!({ "command": command, "sources": [source], "products": products }))
    })
}

fn package() -> impl Strategy<Value = Declared> {
    (select(PACKAGES), 0u8..6).prop_map(|(name, kind)| {
        let attributes = match kind {
            3 => json!({ "recommends": false, "conffiles": "new" }),
            0 => json!({ "ensure": "absent" }),
            1 => json!({ "ensure": "purged" }),
            2 => json!({ "recommends": false, "hold": true }),
            _ => json!({ "recommends": false }),
        };
        ("package", name, attributes)
    })
}

fn service() -> impl Strategy<Value = Declared> {
    (select(UNITS), any::<(bool, bool)>(), 0u8..5).prop_map(|(name, (running, enabled), masked)| {
        let attributes = match masked {
            0 => json!({ "masked": true }),
            _ => json!({ "running": running, "enabled": enabled }),
        };
        ("service", name, attributes)
    })
}

impl Scenario {
    /// The site; `None` if it cannot be one, as with two that own the same path.
    pub fn site(&self) -> Option<Site> {
        let declarations = self.resources.iter().map(|(kind, name, attributes)| RawDeclaration {
            id: ResourceId::new(*kind, *name),
            attributes: attributes.clone().into(),
            declared_at: None,
        });
        Site::from_declarations(&registry(), declarations, Default::default()).ok()
    }
}
