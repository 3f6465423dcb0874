//! What came of a site is kept on the host, and is not believed blindly.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use crate::Place;
use crate::root_directory::place;

const SITE: &str = "{ resources.file.\"/etc/motd\".content = (import \"text.ncl\") ++ facts.os.codename }";

fn started() -> Option<Place> {
    let place = place(SITE)?.file("text.ncl", "\"hello \"").file("root/etc/os-release", "VERSION_CODENAME=trixie\n");
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    Some(place)
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
    let Some(place) = started() else { return };
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
    assert_eq!(motd(&place), "hello trixie");
}

#[test]
fn a_change_of_an_import_or_a_fact_is_never_missed() {
    let Some(place) = started() else { return };
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let place = place.file("text.ncl", "\"goodbye \"");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(motd(&place), "goodbye trixie");
    let place = place.file("root/etc/os-release", "VERSION_CODENAME=forky\n");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(motd(&place), "goodbye forky");
    let broken = place.file("text.ncl", "3");
    assert_eq!(broken.run("apply --root root site.ncl").code, 3);
}

#[test]
fn without_the_cache_nothing_is_kept_or_believed() {
    let Some(place) = started() else { return };
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
    let Some(place) = started() else { return };
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
    let place = place.file("root/etc/os-release", "VERSION_CODENAME=forky\n");
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
    let Some(place) = started() else { return };
    for text in ["one", "two"] {
        let site = format!("{{ resources.file.\"/etc/motd\".content = \"{text}\" }}");
        let ran = place.run_with("apply --root root /dev/stdin", &[], &site);
        assert_eq!(ran.code, 0, "{}", ran.seen());
        assert_eq!(motd(&place), text);
    }
    assert!(entries(&place).is_empty());
}

#[test]
fn a_plan_does_not_make_the_directory_that_it_looks_for() {
    let Some(place) = place("{ resources.directory.\"/var/cache\" = {} }") else { return };
    fs::create_dir(place.path("root/var")).unwrap();
    let plan = place.run("plan --root root site.ncl");
    assert!(plan.out.contains("directory:/var/cache"), "{}", plan.seen());
    assert!(!place.path("root/var/cache").exists());
}
