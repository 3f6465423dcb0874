//! What is no longer declared: named, or removed if it was made here and is as it was left.

use std::fs;

use crate::Place;
use crate::requirements::{Missing, given};
use crate::root_directory::place;

const MORE: &str = r#"{ name = "web", resources = {
  file."/etc/motd".content = "hello\n",
  directory."/srv/data" = {},
  file."/srv/data/a".content = "a\n",
  file."/srv/data/b".content = "b\n",
  symlink."/srv/current".target = "data",
} }"#;

const LESS: &str = r#"{ name = "web", resources.file."/etc/motd".content = "hello\n" }"#;

/// A host on which more was declared, and the site that says less now.
fn applied() -> Result<Place, Missing> {
    let place = place(MORE)?.file("root/etc/motd", "old\n").file("less.ncl", LESS);
    let ran = place.run("apply --jobs 1 --root root site.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    Ok(place)
}

#[test]
fn what_is_no_longer_declared_is_named_and_stays() {
    let place = given!(applied());
    let planned = place.run("plan --root root less.ncl");
    insta::assert_snapshot!("orphans", planned.seen());
    assert!(place.run("apply --root root less.ncl").out.contains("Nothing to do"));
    assert!(place.path("root/srv/data/a").exists());
    assert!(!place.run("plan --root root site.ncl").out.contains("no longer"), "what is declared again is not named");
}

#[test]
fn what_was_made_goes_and_what_was_there_stays() {
    let place = given!(applied());
    let planned = place.run("plan --root root --prune less.ncl");
    insta::assert_snapshot!("pruned", planned.seen());
    let ran = place.run("apply --root root --prune less.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert!(!place.path("root/srv").exists());
    assert_eq!(fs::read_to_string(place.path("root/etc/motd")).unwrap(), "hello\n");
    let again = place.run("apply --root root --prune less.ncl");
    assert!(again.out.contains("Nothing to do"), "{}", again.seen());
    // A file that was there before is not this program's to remove, even if its content is.
    let none = place.run("apply --root root --prune --set resources={} less.ncl");
    assert_eq!(none.code, 0, "{}", none.seen());
    assert!(place.path("root/etc/motd").exists());
}

#[test]
fn what_something_else_has_changed_since_stays() {
    let place = given!(applied());
    fs::write(place.path("root/srv/data/a"), "mine now\n").unwrap();
    let ran = place.run("apply --root root --prune less.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert_eq!(fs::read_to_string(place.path("root/srv/data/a")).unwrap(), "mine now\n");
    assert!(!place.path("root/srv/data/b").exists());
    assert!(place.path("root/srv/data").exists(), "it holds something else");
    assert_eq!(place.run("rollback --root root").code, 0);
    assert_eq!(fs::read_to_string(place.path("root/srv/data/b")).unwrap(), "b\n", "pruning can be undone");
}

#[test]
fn a_site_can_ask_to_prune() {
    let place = given!(applied());
    let place = place.file("prune.ncl", &LESS.replacen('{', "{ prune = true,", 1));
    assert_eq!(place.run("apply --root root prune.ncl").code, 0);
    assert!(!place.path("root/srv").exists());
    assert_eq!(place.run("apply --root root --only file:/etc/motd prune.ncl").code, 0);
}

#[test]
fn what_another_resource_owns_now_is_left_to_it() {
    let place = given!(applied());
    let moved = r#"{ name = "web", prune = true, resources = {
      file."/etc/motd".content = "hello\n",
      directory."/srv/data" = {},
      symlink."/srv/data/a" = { target = "b", force = true },
      file."/srv/data/b".content = "b\n",
      symlink."/srv/current".target = "data",
    } }"#;
    let place = place.file("moved.ncl", moved);
    let ran = place.run("apply --root root moved.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert_eq!(fs::read_link(place.path("root/srv/data/a")).unwrap().to_str(), Some("b"));
    let again = place.run("apply --root root moved.ncl");
    assert!(again.out.contains("Nothing to do: 5 in sync"), "{}", again.seen());
}

#[test]
fn a_damaged_ledger_is_an_error() {
    let place = given!(applied());
    let ledger = place.path("root/var/lib/provision/ledger");
    let whole = fs::read(&ledger).unwrap();
    for at in (0..whole.len()).step_by(61) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&ledger, damaged).unwrap();
        let ran = place.run("apply --root root --prune less.ncl");
        assert_eq!(ran.code, 1, "byte {at}: {}", ran.seen());
        assert!(ran.err.contains("reading what was made on this host"), "{}", ran.seen());
        assert!(place.path("root/srv/data/a").exists());
    }
    fs::write(&ledger, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(place.run("apply --root root --prune less.ncl").code, 1);
}

/// Pruning with another site took all that the first one had made.
#[test]
fn what_another_site_made_is_named_and_never_pruned() {
    let place = given!(applied());
    let other = r#"{ resources = { file."/etc/motd".content = "hello\n", file."/srv/other".content = "mine\n" } }"#;
    let place = place.file("other.ncl", other).file("none.ncl", r#"{ name = "other" }"#);
    let ran = place.run("apply --root root --prune other.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert!(place.path("root/srv/data/a").exists(), "{}", ran.seen());
    insta::assert_snapshot!("of_two_sites", place.run("plan --root root --prune other.ncl").seen());
    let pruned = place.run("apply --root root --prune none.ncl");
    assert_eq!(pruned.code, 0, "{}", pruned.seen());
    assert!(!place.path("root/srv/other").exists(), "its own goes: {}", pruned.seen());
    assert!(place.path("root/srv/data/a").exists());
    assert_eq!(place.run("apply --root root --prune less.ncl").code, 0);
    assert!(!place.path("root/srv").exists(), "the first site still has what it made");
}

/// There had been a line for each, a thousand for a plan of three files.
#[test]
fn many_leftovers_are_counted_and_listed_only_if_asked_for() {
    let files: String = (0..20).map(|number| format!("\"/srv/f{number:02}\".content = \"{number}\",")).collect();
    let place = given!(place(&format!("{{ resources.file = {{ {files} }} }}")));
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    for number in 0..6 {
        fs::write(place.path(&format!("root/srv/f{number:02}")), "changed").unwrap();
    }
    let place = place.file("site.ncl", "{ resources = {} }");
    insta::assert_snapshot!("many_leftovers", place.run("plan --root root site.ncl").seen());
    let all = place.run("plan -v --root root site.ncl").out;
    assert_eq!(all.matches("is no longer declared").count(), 20, "{all}");
    let json: serde_json::Value =
        serde_json::from_str(&place.run("plan --format json --root root site.ncl").out).unwrap();
    assert_eq!(json["orphans"].as_array().unwrap().len(), 20);
}
