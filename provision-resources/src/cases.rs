//! The cases that hold the types of this crate to the laws: a host, and a declaration to bring about on it.

mod apt_config;
mod apt_key;
mod apt_source;
mod journald;
mod logrotate;
mod password_policy;
mod sudoers;
mod sysctl;
mod timer;
mod tmpfiles;
mod unattended_upgrades;
mod unit;
mod unit_dropin;
mod validation;

use provision_core::resource::Resource;
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Laws};
use serde_json::{Value, json};

use crate::{
    AptPin, Cron, Directory, File, Group, Package, PackageManager, PamLimits, Service, Symlink, Trigger, User, registry,
};

/// The laws for all types of this crate, with their cases, on a release of Debian.
pub fn laws(release: u32) -> Laws {
    laws_with(release, usize::MAX)
}

/// The same with fewer cases, for hosts on which each takes its time. Types that are a file each and nothing else are alike on a real host: a
/// few cases of each show that its file and its package are as they are declared to be.
pub fn laws_of_real_hosts(release: u32) -> Laws {
    laws_with(release, 3)
}

fn laws_with(release: u32, most: usize) -> Laws {
    fn first<R: Resource>(cases: Vec<Case<R>>, most: usize) -> Vec<Case<R>> {
        cases.into_iter().take(most).collect()
    }
    Laws::new(registry())
        .of(files(release))
        .of(directories(release))
        .of(symlinks(release))
        .of(groups(release))
        .of(users(release))
        .of(packages(release))
        .of(package_managers(release))
        .of(services(release))
        .of(first(apt_pins(release), most))
        .of(first(pam_limits(release), most))
        .of(first(cron_jobs(release), most))
        .of(triggers(release))
        .of(sudoers::cases(release))
        .of(sysctl::cases(release))
        .of(validation::cases(release))
        .of(first(journald::cases(release), most))
        .of(first(apt_config::cases(release), most))
        .of(first(apt_key::cases(release), most))
        .of(apt_source::cases(release))
        .of(first(logrotate::cases(release), most))
        .of(first(tmpfiles::cases(release), most))
        .of(first(unattended_upgrades::cases(release), most))
        .of(first(password_policy::cases(release), most))
        .of(unit_dropin::cases(release))
        .of(unit::cases(release))
        .of(timer::cases(release))
}

fn case<R: Resource>(name: &str, host: SimHost, resource: &str, attributes: Value) -> Case<R> {
    let want = serde_json::from_value(attributes).expect("the declaration of a case is one of its type");
    Case::new(name, host, resource, want)
}

fn files(release: u32) -> Vec<Case<File>> {
    let bare = || SimHost::debian(release);
    let old = || bare().with_file("/srv/app.conf", "old\nlines\n");
    let conf = "/srv/app.conf";
    let of_www_data = || old().with_access(conf, "www-data", "www-data", 0o640);
    let shared = || bare().with_directory("/srv/shared").with_access("/srv/shared", "root", "staff", 0o2775);
    vec![
        case("absent", bare(), conf, json!({ "content": "new\n" })),
        case("drifted", old(), conf, json!({ "content": "new\n" })),
        case("in sync", old(), conf, json!({ "content": "old\nlines\n" })),
        case("access", old().with_user("anna"), conf, json!({ "owner": "anna", "group": "anna", "mode": "0640" })),
        case("deeper", bare(), "/srv/a/b/c.conf", json!({ "content": "x" })),
        case("gone", old(), conf, json!({ "ensure": "absent" })),
        case("of another user", of_www_data(), conf, json!({ "content": "new\n" })),
        case("of another user in sync", of_www_data(), conf, json!({ "content": "old\nlines\n" })),
        case("given away", of_www_data(), conf, json!({ "owner": "root" })),
        case("in a shared directory", shared(), "/srv/shared/new", json!({ "content": "new\n" })),
        case("an unfinished line", old(), conf, json!({ "content": "new" })),
        case("as it is", old(), conf, json!({ "content": "new", "final_newline": false })),
        case("once", bare(), "/srv/once", json!({ "content": "first", "replace": "once" })),
        case("backup", old(), conf, json!({ "content": "new\n", "backup": true })),
        case("a link in its place", bare().with_link(conf, "/etc/issue"), conf, json!({ "content": "own" })),
        case(
            "a list",
            old().with_user("anna"),
            conf,
            json!({ "content": "new\n", "mode": "0664", "acl": { "user:anna": "rw", "group:": "r" } }),
        ),
        case("private", old(), conf, json!({ "content": "new\n", "mode": "0600" })),
        case("json", bare(), "/srv/x.json", json!({ "json": { "a": [1, 2], "b": null } })),
        case(
            "a unit file",
            bare(),
            "/etc/systemd/system/app.service",
            json!({ "content": "[Service]\nExecStart=/bin/true\n" }),
        ),
    ]
}

fn directories(release: u32) -> Vec<Case<Directory>> {
    let bare = || SimHost::debian(release);
    let tree = || {
        bare()
            .with_user("anna")
            .with_file("/srv/www/index.html", "hello")
            .with_file("/srv/www/old/page.html", "old")
            .with_link("/srv/www/link", "/etc")
    };
    let of_www_data = || tree().with_access("/srv/www", "www-data", "www-data", 0o2750);
    vec![
        case("absent", bare(), "/srv/data", json!({ "mode": "0750" })),
        case("deeper", bare(), "/srv/a/b/c", json!({})),
        case("in sync", tree(), "/srv/www", json!({})),
        case("access", tree(), "/srv/www", json!({ "owner": "anna", "mode": "2775" })),
        case("recurse", tree(), "/srv/www", json!({ "owner": "anna", "group": "anna", "recurse": true })),
        case("recurse with a group", of_www_data(), "/srv/www", json!({ "group": "adm", "recurse": true })),
        case("of another user", of_www_data(), "/srv/www", json!({})),
        case("in a shared directory", of_www_data(), "/srv/www/new", json!({})),
        case("purge", tree(), "/srv/www", json!({ "purge": true })),
        case("gone", bare().with_directory("/srv/empty"), "/srv/empty", json!({ "ensure": "absent" })),
        case("gone with all", tree(), "/srv/www", json!({ "ensure": "absent", "recurse": true })),
        case(
            "lists",
            bare().with_user("anna"),
            "/srv/shared",
            json!({ "mode": "0775", "acl": { "user:anna": "rwx" }, "default_acl": { "user:anna": "rwx" } }),
        ),
    ]
}

fn symlinks(release: u32) -> Vec<Case<Symlink>> {
    let bare = || SimHost::debian(release);
    let link = "/srv/current";
    vec![
        case("absent", bare(), link, json!({ "target": "/etc" })),
        case("drifted", bare().with_link(link, "/usr"), link, json!({ "target": "/etc" })),
        case("in sync", bare().with_link(link, "/etc"), link, json!({ "target": "/etc" })),
        case("deeper", bare(), "/srv/a/b/link", json!({ "target": "../c" })),
        case("in the place of a file", bare().with_file(link, "x"), link, json!({ "target": "/etc", "force": true })),
        case("gone", bare().with_link(link, "/usr"), link, json!({ "ensure": "absent" })),
    ]
}

fn groups(release: u32) -> Vec<Case<Group>> {
    let bare = || SimHost::debian(release);
    vec![
        case("absent", bare(), "media", json!({})),
        case("system", bare(), "media", json!({ "system": true })),
        case("a number", bare(), "numbered", json!({ "gid": 4711 })),
        case("another number", bare().with_group("media"), "media", json!({ "gid": 4712 })),
        case("another number for a user's own", bare().with_user("anna"), "anna", json!({ "gid": 4712 })),
        case(
            "members",
            bare().with_group("media").with_user("anna").with_user("bert"),
            "media",
            json!({ "members": ["anna", "bert"] }),
        ),
        case("in sync", bare().with_group("media"), "media", json!({})),
        case("gone", bare().with_group("media"), "media", json!({ "ensure": "absent" })),
    ]
}

fn users(release: u32) -> Vec<Case<User>> {
    let bare = || SimHost::debian(release);
    let anna = || bare().with_user("anna");
    let hash = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";
    vec![
        case("absent", bare(), "anna", json!({})),
        case("system", bare(), "daemonized", json!({ "system": true })),
        case("a home", bare(), "anna", json!({ "home": "/srv/anna", "shell": "/bin/bash", "gecos": "Anna" })),
        case("drifted", anna(), "anna", json!({ "shell": "/bin/bash", "gecos": "Anna" })),
        case("groups", anna(), "anna", json!({ "groups": { "www-data": true, "adm": true } })),
        case("a password", anna(), "anna", json!({ "password": hash })),
        case("locked", anna(), "anna", json!({ "locked": true })),
        case("expires", anna(), "anna", json!({ "expires": "2030-01-01" })),
        case("in sync", anna(), "anna", json!({})),
        case("gone", anna(), "anna", json!({ "ensure": "absent" })),
    ]
}

fn packages(release: u32) -> Vec<Case<Package>> {
    let bare = || SimHost::debian(release);
    let hello = || bare().with_package("hello");
    vec![
        case("absent", bare(), "hello", json!({})),
        case("with what it needs", bare(), "nginx", json!({ "recommends": false })),
        case("in sync", hello(), "hello", json!({})),
        case("gone", hello(), "hello", json!({ "ensure": "absent" })),
        case("gone with its configuration", bare().with_package("cron"), "cron", json!({ "ensure": "purged" })),
        case("held", hello(), "hello", json!({ "hold": true })),
        case("installed and held", bare(), "hello", json!({ "hold": true })),
        case("no longer held", hello().with_held_package("hello"), "hello", json!({ "hold": false })),
    ]
}

fn package_managers(release: u32) -> Vec<Case<PackageManager>> {
    let bare = || SimHost::debian(release);
    vec![
        case("in sync", bare(), "apt", json!({})),
        case("interrupted", bare().with_interrupted_package("hello"), "apt", json!({})),
    ]
}

fn services(release: u32) -> Vec<Case<Service>> {
    let unit =
        "[Unit]\nDescription=A test\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
    let bare = || SimHost::debian(release).with_file("/etc/systemd/system/app.service", unit);
    let cron = || SimHost::debian(release).with_package("cron");
    vec![
        case("off", bare(), "app", json!({})),
        case("started and not enabled", bare(), "app", json!({ "enabled": false })),
        case("enabled and not started", bare(), "app", json!({ "running": false })),
        case("in sync", cron(), "cron", json!({})),
        case("stopped", cron(), "cron", json!({ "running": false, "enabled": false })),
        case("masked", cron(), "cron", json!({ "masked": true })),
        case("a timer", SimHost::debian(release), "apt-daily.timer", json!({ "running": false, "enabled": false })),
    ]
}

fn cron_jobs(release: u32) -> Vec<Case<Cron>> {
    let cron = || SimHost::debian(release).with_package("cron");
    let other = || cron().with_file("/etc/cron.d/backup", "# by hand\n0 1 * * *\troot  true\n");
    vec![
        case("absent", cron(), "backup", json!({ "schedule": "30 3 * * *", "command": "date +%d", "user": "backup" })),
        case("drifted", other(), "backup", json!({ "schedule": "@daily", "command": "true" })),
        case("in other words", other(), "backup", json!({ "schedule": "0 1 * * *", "command": "true" })),
        case(
            "in other words of another user",
            other().with_access("/etc/cron.d/backup", "games", "games", 0o664),
            "backup",
            json!({ "schedule": "0 1 * * *", "command": "true" }),
        ),
        case(
            "with an environment",
            cron().with_user("anna"),
            "mail",
            json!({ "schedule": "@hourly", "command": "true", "user": "anna", "environment": { "MAILTO": "" } }),
        ),
        case(
            "a link in its place",
            cron().with_link("/etc/cron.d/backup", "/dev/null"),
            "backup",
            json!({
                "schedule": "@daily", "command": "true"
            }),
        ),
        case("gone", other(), "backup", json!({ "ensure": "absent" })),
    ]
}

fn triggers(release: u32) -> Vec<Case<Trigger>> {
    let parts = || SimHost::debian(release).with_file("/etc/parts/a", "a\n").with_file("/etc/parts/b", "b\n");
    let join = |products: Value| {
        let command = ["sh", "-c", "cat /etc/parts/a /etc/parts/b > /srv/joined"];
        json!({ "command": command, "sources": ["/etc/parts"], "products": products })
    };
    vec![
        case("absent", parts(), "joined", join(json!(["/srv/joined"]))),
        case("made before", parts().with_file("/srv/joined", "old\n"), "joined", join(json!(["/srv/joined"]))),
        case(
            "of another user",
            parts().with_file("/srv/joined", "old\n").with_access("/srv/joined", "games", "games", 0o600),
            "joined",
            join(json!(["/srv/joined"])),
        ),
        case(
            "without sources",
            SimHost::debian(release),
            "none",
            json!({ "command": "true", "sources": ["/etc/none"] }),
        ),
    ]
}

fn apt_pins(release: u32) -> Vec<Case<AptPin>> {
    let there = |text: &str| SimHost::debian(release).with_file("/etc/apt/preferences.d/a.pref", text);
    let same = "# mine\nPackage: hello\nPin: release o=Debian\nPin-Priority: 100\n";
    let pin = || json!({ "packages": ["hello"], "pin": "release o=Debian", "priority": 100 });
    vec![
        case("absent", SimHost::debian(release), "a", pin()),
        case("drifted", there("Package: *\nPin: release o=Debian\nPin-Priority: 1\n"), "a", pin()),
        case("in other words", there(same), "a", pin()),
        case("gone", there(same), "a", json!({ "ensure": "absent" })),
    ]
}

fn pam_limits(release: u32) -> Vec<Case<PamLimits>> {
    let there = |text: &str| SimHost::debian(release).with_file("/etc/security/limits.d/a.conf", text);
    let core = || json!({ "domain": "*", "settings": { "core": 0 } });
    let anna = || SimHost::debian(release).with_user("anna");
    let each = || json!({ "domain": "anna", "settings": { "nofile": { "soft": 1024, "hard": 4096 } } });
    vec![
        case("absent", SimHost::debian(release), "a", core()),
        case("of a user", anna(), "a", each()),
        case("drifted", there("* - core unlimited\n"), "a", core()),
        case("in other words", there("# mine\n*  -\tcore 0\n"), "a", core()),
        case("gone", there("* - core 0\n"), "a", json!({ "ensure": "absent" })),
    ]
}
