//! What a site is evaluated with, and where it is applied.

use super::Place;

const SITE: &str = "let p = import \"provision.ncl\" in { resources.file.\"/etc/a\".content = \"%{std.to_string p.facts.memory_mib} MiB\" }";

#[test]
fn facts_for_looking_ahead_are_given() {
    let place = Place::with(SITE).file("facts.json", "{ \"memory_mib\": 333 }");
    assert!(place.run("plan --simulate site.ncl").out.contains("2048 MiB"));
    assert!(place.run("plan --simulate --facts facts.json site.ncl").out.contains("333 MiB"));
    assert!(place.run("plan --simulate --facts facts.json --set facts.memory_mib=7 site.ncl").out.contains("7 MiB"));
    assert_eq!(place.run("validate --set facts.memory_mib=7 site.ncl").code, 0);
    let typo = place.run("validate --set facts.memory=7 site.ncl");
    assert!(typo.code != 0 && typo.err.contains("unknown field `memory`"), "{}", typo.seen());
    let place = Place::with(
        "let p = import \"provision.ncl\" in { resources.file.\"/etc/a\".content = std.to_string (p.facts.memory_mib + 1) }",
    );
    let absent = place.run("validate --set facts.memory_mib=null site.ncl");
    assert!(absent.err.contains("in a root directory some facts are"), "{}", absent.seen());
}

/// `--root /tmp` was taken for a system, and changed; so was a directory that has accounts and does not say what it is.
#[test]
fn a_directory_that_holds_no_system_is_refused() {
    let with = |file: &str, text: &str| Place::with("{ resources.file.\"/a\".content = \"x\" }").file(file, text);
    for (place, missing) in [
        (with("root/nothing", ""), "/etc/os-release is missing"),
        (with("root/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"), "/etc/os-release is missing"),
        (with("root/etc/os-release", "VERSION_ID=12\n"), "/etc/os-release does not set ID"),
    ] {
        for verb in ["plan {} site.ncl", "apply {} site.ncl", "rollback {}", "history {}", "record host {}"] {
            let ran = place.run(&verb.replace("{}", "--root root"));
            let said = format!("opening the root directory root: {missing}, so this is no Debian system");
            assert!(ran.code == 1 && ran.err.contains(&said), "{verb}: {}", ran.seen());
            assert!(ran.err.contains("hint: --root names the directory"), "{verb}: {}", ran.seen());
        }
        assert!(!place.path("root/a").exists() && !place.path("root/var").exists());
    }
}

#[test]
fn the_library_is_renewed_on_request() {
    let place = Place::new();
    place.run("init .");
    assert_eq!(place.run("validate site.ncl").code, 0);
    let library = std::fs::read_to_string(place.path("provision.ncl")).unwrap();
    let place = place.file("provision.ncl", "# The contracts of provision, of old.\n{}");
    assert!(place.run("init .").out.contains("--update renews it"));
    assert!(place.run("init --update .").out.contains("updated ./provision.ncl"));
    assert_eq!(std::fs::read_to_string(place.path("provision.ncl")).unwrap(), library);
    assert!(place.run("init --update .").out.contains("kept"));
    let place = place.file("provision.ncl", "{ mine = true }");
    assert_eq!(place.run("init --update .").code, 1);
}

#[test]
fn what_no_parser_survives_is_refused() {
    let place =
        Place::with("{ resources.file.\"/a\".content = import \"pipe\" }").file("big.ncl", "{ a = 1e9999999999999 }");
    nix::unistd::mkfifo(&place.path("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let pipe = place.run("validate site.ncl");
    assert!(pipe.err.contains("cannot import `pipe`: it is not a regular file"), "{}", pipe.seen());
    for (name, text) in
        [("big.json", "{ \"a\": 1e9999999999999 }"), ("importing.ncl", "{ a = (import \"big.ncl\").a }")]
    {
        let place = Place::with("{}").file("big.ncl", "{ a = 1e9999999999999 }").file(name, text);
        let ran = place.run(&format!("validate {name}"));
        assert!(ran.err.contains("1e9999999999999 is out of all bounds"), "{}", ran.seen());
    }
}

#[test]
fn a_site_that_renames_its_host_and_uses_the_name_is_warned() {
    let place = Place::with(
        "let p = import \"provision.ncl\" in { resources.file = { \"/etc/hostname\".content = \"web9\\n\", \"/etc/motd\".content = p.facts.hostname } }",
    );
    let ran = place.run("plan --simulate site.ncl");
    assert!(ran.err.contains("changes the name of the host from simulated to web9"), "{}", ran.seen());
}

#[test]
fn a_mistake_in_the_only_package_brings_no_other() {
    let place = Place::with(
        "{ resources = { package.git.version = 1, file.\"/etc/a\" = { content = \"x\", before = [\"package_manager:apt\"] } } }",
    );
    let ran = place.run("validate site.ncl");
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("error:")).count(), 1, "{}", ran.seen());
}

/// The hint named a function of Rust, and one cause was told for each of many checks.
#[test]
fn a_file_of_unknown_content_is_replaced_as_a_whole() {
    let place = Place::with(
        "{ resources.file.\"/etc/locale.gen\".content = \"en_GB.UTF-8 UTF-8\\n\", resources.package.locales = {} }",
    );
    let ran = place.run("test --drifted 0 site.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
}
