//! What came of a site is kept on the host, and is not believed blindly.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use sha2::Digest;

use crate::Place;
use crate::requirements::{Missing, given, programs};
use crate::root_directory::place;

const SITE: &str = r#"let p = import "provision.ncl" in
{ resources.file."/etc/motd".content = (import "text.ncl") ++ p.facts.os.codename }"#;

fn started() -> Result<Place, Missing> {
    let place =
        place(SITE)?.file("text.ncl", "\"hello \"").file("root/etc/os-release", "ID=debian\nVERSION_CODENAME=trixie\n");
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    Ok(place)
}

/// The entries that are kept.
fn entries(place: &Place) -> Vec<PathBuf> {
    let found = fs::read_dir(place.path("root/var/cache/provision/evaluations"));
    found.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn motd(place: &Place) -> String {
    fs::read_to_string(place.path("root/etc/motd")).unwrap()
}

#[test]
fn an_evaluation_is_kept_below_the_root_for_root_alone() {
    let place = given!(started());
    let first = place.run("plan --root root site.ncl");
    let [entry] = &entries(&place)[..] else { panic!("{:?}", entries(&place)) };
    let inode = fs::metadata(entry).unwrap().ino();
    assert_eq!(fs::metadata(entry).unwrap().mode() & 0o7777, 0o600);
    for directory in ["root/var/cache/provision", "root/var/cache/provision/evaluations"] {
        assert_eq!(fs::metadata(place.path(directory)).unwrap().mode() & 0o7777, 0o700);
    }
    assert_eq!(place.run("plan --root root site.ncl").seen(), first.seen());
    assert_eq!(fs::metadata(entry).unwrap().ino(), inode, "it was not written again");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(motd(&place), "hello trixie\n");
}

#[test]
fn a_change_of_an_import_or_a_fact_is_never_missed() {
    let place = given!(started());
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let place = place.file("text.ncl", "\"goodbye \"");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(motd(&place), "goodbye trixie\n");
    let place = place.file("root/etc/os-release", "ID=debian\nVERSION_CODENAME=forky\n");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(motd(&place), "goodbye forky\n");
    let broken = place.file("text.ncl", "3");
    assert_eq!(broken.run("apply --root root site.ncl").code, 3);
}

#[test]
fn without_the_cache_nothing_is_kept_or_believed() {
    let place = given!(started());
    assert_eq!(place.run("apply --no-cache --root root site.ncl").code, 0);
    assert!(!place.path("root/var/cache/provision").exists());
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
    for entry in entries(&place) {
        fs::write(entry, "damaged").unwrap();
    }
    assert!(place.run("plan --root root site.ncl").out.contains("Nothing to do"));
}

#[test]
fn a_cache_that_is_not_roots_alone_is_ignored() {
    let place = given!(started());
    let cache = place.path("root/var/cache/provision");
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&cache, Some(65534), None).unwrap();
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
    assert!(entries(&place).is_empty());
    fs::remove_dir(&cache).unwrap();
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
    chown(entries(&place).pop().unwrap(), Some(65534), None).unwrap();
    let place = place.file("root/etc/os-release", "ID=debian\nVERSION_CODENAME=forky\n");
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
    fs::remove_dir_all(&cache).unwrap();
    // A link does not lead out of the root.
    fs::remove_dir(place.path("root/var/cache")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("root/var/cache")).unwrap();
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_pipe_is_read_once() {
    let place = given!(started());
    for text in ["one", "two"] {
        let site = format!("{{ resources.file.\"/etc/motd\".content = \"{text}\" }}");
        let ran = place.run_with("apply --root root /dev/stdin", &[], &site);
        assert_eq!(ran.code, 0, "{}", ran.seen());
        assert_eq!(motd(&place), format!("{text}\n"));
    }
    assert!(entries(&place).is_empty());
}

#[test]
fn a_plan_does_not_make_the_directory_that_it_looks_for() {
    let place = given!(place("{ resources.directory.\"/var/cache\" = {} }"));
    fs::create_dir(place.path("root/var")).unwrap();
    let plan = place.run("plan --root root site.ncl");
    assert!(plan.out.contains("directory:/var/cache"), "{}", plan.seen());
    assert!(!place.path("root/var/cache").exists());
}

/// Something of each kind that a root directory can have.
const MANAGED: &str = r#"{
  resources.file."/srv/app/conf" = { content = "text\n", mode = "0640", group = "nogroup" },
  resources.file."/srv/app/copy" = { source = "copied", owner = "nobody" },
  resources.file."/etc/gone".ensure = 'absent,
  resources.directory."/srv/app" = { mode = "0755", purge = true },
  resources.symlink."/srv/link".target = "app/conf",
}"#;

/// What another process does, in words, and how.
type Drift = (&'static str, fn(&Place));

/// Nothing of that may be missed.
const DRIFTS: [Drift; 13] = [
    ("another content of the same length", |place| {
        let path = place.path("root/srv/app/conf");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "test\n").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }),
    ("another mode", |place| {
        fs::set_permissions(place.path("root/srv/app/conf"), fs::Permissions::from_mode(0o644)).unwrap();
    }),
    ("another group", |place| chown(place.path("root/srv/app/conf"), None, Some(0)).unwrap()),
    ("a file that is gone", |place| fs::remove_file(place.path("root/srv/app/conf")).unwrap()),
    ("a link in the place of a file", |place| {
        fs::rename(place.path("root/srv/app/conf"), place.path("root/srv/elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", place.path("root/srv/app/conf")).unwrap();
    }),
    ("an empty file", |place| fs::write(place.path("root/srv/app/copy"), "").unwrap()),
    ("a file that must not be", |place| fs::write(place.path("root/etc/gone"), "back").unwrap()),
    ("a stray file", |place| fs::write(place.path("root/srv/app/stray"), "").unwrap()),
    ("a directory with another mode", |place| {
        fs::set_permissions(place.path("root/srv/app"), fs::Permissions::from_mode(0o777)).unwrap();
    }),
    ("a link that leads elsewhere", |place| {
        fs::remove_file(place.path("root/srv/link")).unwrap();
        std::os::unix::fs::symlink("app/copy", place.path("root/srv/link")).unwrap();
    }),
    ("a group with another number", |place| {
        fs::write(place.path("root/etc/group"), "root:x:0:\nnogroup:x:65533:\n").unwrap();
    }),
    ("a user with another number", |place| {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65533:65534::/:/bin/false\n";
        fs::write(place.path("root/etc/passwd"), accounts).unwrap();
    }),
    ("another source file", |place| fs::write(place.path("copied"), "new\n").unwrap()),
];

#[test]
fn no_drift_is_missed_after_runs_that_had_nothing_to_do() {
    let place = given!(place(MANAGED).map(|place| place.file("copied", "old\n")));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    let says = |word: &str, after: &str| {
        let ran = place.run("apply --root root site.ncl");
        assert!(ran.code == 0 && ran.out.contains(word), "{after}: {}", ran.seen());
    };
    says("Done", "at first");
    for (what, drift) in DRIFTS {
        says("Nothing to do: 5 in sync", what);
        assert_eq!(fs::read_dir(place.path("root/var/cache/provision/converged")).unwrap().count(), 1, "{what}");
        says("Nothing to do: 5 in sync", what);
        drift(&place);
        says("1 changed", what);
    }
}

#[test]
fn a_run_that_is_remembered_still_says_what_is_asked_for() {
    let place = given!(place(MANAGED).map(|place| place.file("copied", "old\n")));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    for _ in 0..3 {
        assert_eq!(place.run("apply --root root site.ncl").code, 0);
    }
    let listed = place.run("apply -v --root root site.ncl");
    assert!(listed.code == 0 && listed.out.contains("file:/srv/app/conf"), "{}", listed.seen());
    let one = place.run("apply --only file:/srv/app/copy --root root site.ncl");
    assert!(one.out.contains("2 in sync"), "{}", one.seen());
    let report = place.run("apply --format json --root root site.ncl");
    assert!(report.out.contains("step_finished"), "{}", report.seen());
    // What is remembered is no more believed than an evaluation.
    for entry in fs::read_dir(place.path("root/var/cache/provision/converged")).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    assert!(place.run("apply --root root site.ncl").out.contains("Nothing to do: 5 in sync"));
    let place = place.file("root/srv/app/conf", "drifted");
    assert!(place.run("apply --root root --no-cache site.ncl").out.contains("1 changed"));
}

/// Files are looked at by several threads, each with its own open files.
#[test]
fn each_of_many_access_control_lists_is_that_of_its_own_file() {
    const FILES: usize = 120;
    let file = |number: usize| {
        let rights = ["r", "rw", "rwx"][number % 3];
        format!(
            "\"/srv/f{number}\" = {{ content = \"{number}\", mode = \"0670\", acl = {{ \"user:nobody\" = \"{rights}\" }} }},"
        )
    };
    let files: String = (0..FILES).map(file).collect();
    given!(programs(&["setfacl"]));
    let place = given!(place(&format!("{{ resources.file = {{ {files} }} }}")));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    let says = |word: &str| {
        let ran = place.run("apply --root root site.ncl");
        assert!(ran.code == 0 && ran.out.contains(word), "{}", ran.seen());
    };
    says("120 changed");
    for first in 0..4 {
        for _ in 0..3 {
            says("Nothing to do: 120 in sync");
        }
        assert_eq!(fs::read_dir(place.path("root/var/cache/provision/converged")).unwrap().count(), 1);
        let drifted = (first..FILES).step_by(7);
        let count = drifted.clone().count();
        for number in drifted {
            let path = place.path(&format!("root/srv/f{number}"));
            assert!(std::process::Command::new("setfacl").arg("-b").arg(path).status().unwrap().success());
        }
        says(&format!("{count} changed"));
    }
}

/// What is remembered of runs that had nothing to do.
fn remembered(place: &Place) -> Vec<Vec<u8>> {
    let found = fs::read_dir(place.path("root/var/cache/provision/converged"));
    found.into_iter().flatten().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|part| part == text)
}

/// Such a site had been evaluated and planned in full each time.
#[test]
fn a_quiet_run_with_a_secret_is_remembered_without_it_and_another_secret_is_noticed() {
    let site = r#"{ resources.file."/etc/token" = { content = { secret = "env:TOKEN" }, mode = "0600" } }"#;
    let place = given!(place(site));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    let says = |token: &str, word: &str| {
        let ran = place.run_with("apply --root root site.ncl", &[("TOKEN", token)], "");
        assert!(ran.code == 0 && ran.out.contains(word), "{token}: {}", ran.seen());
    };
    let canary = "canary-in-the-cache-31415926";
    says(canary, "1 changed");
    says(canary, "Nothing to do");
    let [kept] = &remembered(&place)[..] else { panic!("it is not remembered") };
    let digest = sha2::Sha256::digest(canary);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for secret in [canary.as_bytes(), &digest[..], hex.as_bytes(), &digest[..8]] {
        assert!(!holds(kept, secret));
    }
    assert!(holds(kept, b"env:TOKEN"), "only its name");
    says(canary, "Nothing to do");
    says("another", "1 changed");
    says("another", "Nothing to do");
    assert_eq!(fs::read_to_string(place.path("root/etc/token")).unwrap(), "another");
    // A secret that cannot be had is an error, whatever is remembered.
    assert_eq!(place.run("apply --root root site.ncl").code, 1);
}

/// Such a run had been evaluated and planned in full each time.
#[test]
fn a_quiet_run_with_overrides_is_remembered_and_another_override_is_noticed() {
    let place = given!(place(r#"{ resources.file."/etc/motd".content = "hello\n" }"#));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    let says = |set: &str, word: &str| {
        let ran = place.run(&format!("apply --root root {set} site.ncl"));
        assert!(ran.code == 0 && ran.out.contains(word), "{set}: {}", ran.seen());
    };
    let (one, other) = (
        r#"--set resources.file."/etc/motd".content=canary-2718281828"#,
        r#"--set resources.file."/etc/motd".content=other"#,
    );
    says(one, "1 changed");
    says(one, "Nothing to do");
    let [kept] = &remembered(&place)[..] else { panic!("it is not remembered") };
    assert!(!holds(kept, b"canary-2718281828"));
    assert!(entries(&place).iter().all(|entry| !holds(&fs::read(entry).unwrap(), b"canary-2718281828")));
    says(one, "Nothing to do");
    says(other, "1 changed");
    says(one, "1 changed");
    says("", "1 changed");
    says("", "Nothing to do");
    assert_eq!(motd(&place), "hello\n");
}

/// They had kept every run from being remembered.
#[test]
fn leftovers_do_not_keep_a_quiet_run_from_being_remembered() {
    let place = given!(place(r#"{ resources.file = { "/srv/a".content = "a\n", "/srv/b".content = "b\n" } }"#));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let place = place.file("site.ncl", r#"{ resources.file."/srv/a".content = "a\n" }"#);
    let says = |options: &str, word: &str| {
        let ran = place.run(&format!("apply --root root {options} site.ncl"));
        assert!(ran.code == 0 && ran.out.contains(word), "{options}: {}", ran.seen());
    };
    says("", "Nothing to do: 1 in sync");
    assert_eq!(remembered(&place).len(), 1);
    says("", "Nothing to do: 1 in sync");
    fs::write(place.path("root/srv/a"), "drifted").unwrap();
    says("", "1 changed");
    says("", "Nothing to do: 1 in sync");
    says("--prune", "1 changed");
    assert!(!place.path("root/srv/b").exists());
}
