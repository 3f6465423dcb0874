//! Saved plans, the past, and the lock, on a root directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::Place;
use crate::requirements::{Missing, given};
use crate::root_directory::place;

const SITE: &str = r#"{ resources = {
  file."/etc/motd".content = "hello\nworld\n",
  directory."/srv/data".mode = "2775",
  file."/srv/data/private" = { content = "quiet", mode = "0600" },
} }"#;

fn started() -> Result<Place, Missing> {
    Ok(place(SITE)?.file("root/etc/motd", "old\n"))
}

/// Every file below the root directory with its content.
fn everything(place: &Place) -> Vec<(String, Vec<u8>)> {
    fn walk(directory: &std::path::Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.display().to_string();
            if path.is_dir() {
                found.push((shown, Vec::new()));
                walk(&path, found);
            } else {
                found.push((shown, fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&place.path("root"), &mut found);
    found.retain(|(path, _)| {
        !path.ends_with("/run") && !path.ends_with("run/provision") && !path.ends_with("provision/lock")
    });
    found.sort();
    found
}

/// Times and digests differ from run to run.
fn without_times(text: &str) -> String {
    let clean = |word: &str| {
        let has = |length: usize, sign: u8, places: [usize; 2]| {
            word.len() == length && places.iter().all(|place| word.as_bytes()[*place] == sign)
        };
        match word {
            _ if has(10, b'-', [4, 7]) => "DATE".to_owned(),
            _ if has(8, b':', [2, 5]) => "TIME".to_owned(),
            _ if has(5, b'.', [1, 1]) => "TOOK".to_owned(),
            _ if word.starts_with("sha256:") => "sha256:DIGEST".to_owned(),
            word => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(clean).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

#[test]
fn a_run_is_listed_shown_and_undone() {
    let place = given!(started());
    assert!(place.run("history --root root").out.contains("No run has changed this host yet"));
    let before = everything(&place);
    assert_eq!(place.run("apply --jobs 1 --root root site.ncl").code, 0);
    let seen: Vec<String> = ["history --root root", "show --root root", "rollback --plan --root root"]
        .iter()
        .map(|arguments| format!("$ provision {arguments}\n{}", without_times(&place.run(arguments).seen())))
        .collect();
    insta::assert_snapshot!("past", seen.join("\n"));
    assert_eq!(place.run("rollback --root root").code, 0);
    let mut after = everything(&place);
    let state = |path: &str| {
        let above = ["/var", "/var/lib", "/var/cache"].iter().any(|above| path.ends_with(above));
        above || path.contains("/var/lib/provision") || path.contains("/var/cache/provision")
    };
    after.retain(|(path, _)| !state(path));
    assert_eq!(after, before);
    let nothing = place.run("rollback --root root");
    assert!(nothing.err.contains("there is no run that could be undone"), "{}", nothing.seen());
    assert_eq!(place.run("rollback --root root 2").code, 0, "an undo can be undone");
    assert!(place.run("apply --root root site.ncl").out.contains("Nothing to do"));
    let unknown = place.run("show --root root 17");
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("there are runs 1 to 3"), "{}", unknown.seen());
}

#[test]
fn what_changed_since_is_not_undone_by_accident() {
    let place = given!(started());
    place.run("apply --jobs 1 --root root site.ncl");
    fs::write(place.path("root/etc/motd"), "by hand\n").unwrap();
    let refused = place.run("rollback --root root");
    assert_eq!(refused.code, 1);
    insta::assert_snapshot!("changed_since", refused.seen());
    let kept = place.run("rollback --root root --keep-changed");
    assert_eq!(kept.code, 0, "{}", kept.seen());
    assert!(kept.out.contains("/etc/motd has changed since"), "{}", kept.seen());
    assert_eq!(fs::read_to_string(place.path("root/etc/motd")).unwrap(), "by hand\n");
    assert!(!place.path("root/srv").exists());
}

#[test]
fn a_saved_plan_is_carried_out_once_or_refused_as_stale() {
    let place = given!(started());
    assert_eq!(place.run("plan --root root -o site.plan site.ncl").code, 0);
    assert_eq!(fs::metadata(place.path("site.plan")).unwrap().permissions().mode() & 0o777, 0o600);
    // One byte of a file that it is about to replace.
    fs::write(place.path("root/etc/motd"), "oldX").unwrap();
    let before = everything(&place);
    let stale = place.run("apply --root root site.plan");
    assert_eq!(stale.code, 4);
    insta::assert_snapshot!("stale", stale.seen());
    assert_eq!(everything(&place), before, "nothing was written");
    fs::write(place.path("root/etc/motd"), "old\n").unwrap();
    // The site is not looked at again.
    fs::write(place.path("site.ncl"), "{ this is no site").unwrap();
    let applied = place.run("apply --root root site.plan");
    assert_eq!(applied.code, 0, "{}", applied.seen());
    assert_eq!(fs::read_to_string(place.path("root/srv/data/private")).unwrap(), "quiet\n");
    assert_eq!(place.run("apply --root root site.plan").code, 4, "it is done already");
}

#[test]
fn a_saved_plan_brings_its_source_files_along() {
    let site =
        r#"{ resources.file = { "/etc/a".source = "a.txt", "/etc/b" = { source = "a.txt", ensure = 'present } } }"#;
    let place = given!(place(site));
    fs::write(place.path("a.txt"), "from a file\n").unwrap();
    assert_eq!(place.run("plan --root root -o site.plan site.ncl").code, 0);
    fs::remove_file(place.path("a.txt")).unwrap();
    let applied = place.run("apply --root root site.plan");
    assert_eq!(applied.code, 0, "{}", applied.seen());
    assert_eq!(fs::read_to_string(place.path("root/etc/b")).unwrap(), "from a file\n");
}

#[test]
fn a_file_that_goes_is_relied_on_byte_by_byte() {
    let place = given!(place(r#"{ resources.file."/etc/motd".ensure = 'absent }"#));
    let place = place.file("root/etc/motd", "one\n");
    assert_eq!(place.run("plan --root root -o site.plan site.ncl").code, 0);
    fs::write(place.path("root/etc/motd"), "two\n").unwrap();
    let stale = place.run("apply --root root site.plan");
    assert_eq!(stale.code, 4, "{}", stale.seen());
    assert!(place.path("root/etc/motd").exists());
}

#[test]
fn a_damaged_or_foreign_plan_is_refused() {
    let place = given!(place(r#"{ resources.file."/etc/a".content = "a" }"#));
    assert_eq!(place.run("plan --root root -o site.plan site.ncl").code, 0);
    let whole = fs::read(place.path("site.plan")).unwrap();
    // Every byte in turn is tried on the library, quickly; here a few in each part.
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(place.path("damaged.plan"), &damaged).unwrap();
        let ran = place.run("apply --root root damaged.plan");
        assert!(ran.code == 1 || ran.code == 3, "byte {at}: {}", ran.seen());
        assert!(!ran.err.contains("panicked"), "byte {at}: {}", ran.seen());
        assert!(!place.path("root/etc/a").exists(), "byte {at}");
    }
    fs::write(place.path("cut.plan"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(place.run("apply --root root cut.plan").code, 1);
    let text = String::from_utf8(whole.clone()).unwrap().replace("/etc/a", "/etc/b");
    fs::write(place.path("edited.plan"), text).unwrap();
    insta::assert_snapshot!("edited_plan", place.run("apply --root root edited.plan").seen());
    fs::remove_dir_all(place.path("root/var/lib/provision")).unwrap();
    insta::assert_snapshot!("foreign_plan", place.run("apply --root root site.plan").seen());
}

#[test]
fn a_plan_for_a_review() {
    let place = given!(started());
    insta::assert_snapshot!("markdown", place.run("plan --root root --format markdown site.ncl").seen());
    assert_eq!(place.run("apply --root root --format markdown site.ncl").code, 64);
}

#[test]
fn another_run_is_named_and_waited_for() {
    let place = given!(started());
    fs::create_dir_all(place.path("root/run/provision")).unwrap();
    let holder = r#"{"who":"alice (as root)","what":"provision apply web.ncl","process":4711,
        "since":{"unix_micros":0,"boot":"x","monotonic_micros":0}}"#;
    fs::write(place.path("root/run/provision/lock"), holder).unwrap();
    let file = fs::File::open(place.path("root/run/provision/lock")).unwrap();
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).ok().unwrap();
    let refused = place.run("apply --root root site.ncl");
    assert_eq!(refused.code, 5, "{}", refused.seen());
    assert!(refused.err.contains("alice (as root) is at work on this host for"), "{}", refused.seen());
    assert!(refused.err.contains("provision apply web.ncl (process 4711)"), "{}", refused.seen());
    assert!(!place.path("root/srv").exists());
    assert_eq!(place.run("plan --root root site.ncl").code, 0, "looking needs no lock");
    let waits = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(600));
        drop(lock);
    });
    let waited = place.run("apply --root root --lock-timeout 20 site.ncl");
    assert_eq!(waited.code, 0, "{}", waited.seen());
    assert!(waited.err.contains("waiting for provision apply web.ncl (alice (as root)) to end"), "{}", waited.seen());
    waits.join().unwrap();
}

#[test]
fn a_run_that_died_is_found_and_told() {
    let place = given!(started());
    place.run("apply --jobs 1 --root root site.ncl");
    let runs = place.path("root/var/lib/provision/runs");
    // As if it had been killed while it wrote the last file: its end was never written down.
    let log = fs::read_to_string(runs.join("00000001.done")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let cut: String = lines[..lines.len() - 2].iter().map(|line| format!("{line}\n")).collect();
    fs::write(runs.join("00000001.open"), cut + "half a li").unwrap();
    fs::remove_file(runs.join("00000001.done")).unwrap();
    let planned = place.run("plan --root root site.ncl");
    assert!(planned.err.contains("run 1 has not ended"), "{}", planned.seen());
    let next = place.run("apply --root root site.ncl");
    insta::assert_snapshot!("recovered", without_times(&next.seen()));
    assert!(runs.join("00000001.done").exists());
    assert!(place.run("show --root root 1").out.contains("found by the next run"));
    assert_eq!(place.run("rollback --root root 1").code, 0);
    assert_eq!(fs::read_to_string(place.path("root/etc/motd")).unwrap(), "old\n");
}

#[test]
fn a_damaged_journal_stops_the_run_before_anything_is_done() {
    let place = given!(started());
    place.run("apply --jobs 1 --root root site.ncl");
    let runs = place.path("root/var/lib/provision/runs");
    let mut log = fs::read(runs.join("00000001.done")).unwrap();
    log[200] ^= 1;
    fs::write(runs.join("00000001.open"), &log).unwrap();
    fs::remove_file(runs.join("00000001.done")).unwrap();
    fs::write(place.path("root/etc/motd"), "drift\n").unwrap();
    let stopped = place.run("apply --root root site.ncl");
    assert_eq!(stopped.code, 1);
    insta::assert_snapshot!("damaged_journal", stopped.seen());
    assert_eq!(fs::read_to_string(place.path("root/etc/motd")).unwrap(), "drift\n");
    let listed = place.run("history --root root");
    assert_eq!(listed.code, 1);
    assert!(listed.out.contains("record 1 is damaged"), "{}", listed.seen());
}

#[test]
fn state_that_others_may_write_to_is_not_trusted() {
    let place = given!(started());
    place.run("apply --root root site.ncl");
    fs::set_permissions(place.path("root/var/lib/provision"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(place.path("root/etc/motd"), "drift\n").unwrap();
    let refused = place.run("apply --root root site.ncl");
    assert_eq!(refused.code, 1, "{}", refused.seen());
    assert!(refused.err.contains("others may write to it"), "{}", refused.seen());
    assert_eq!(fs::read_to_string(place.path("root/etc/motd")).unwrap(), "drift\n");
}

#[test]
fn a_site_says_how_much_of_the_past_is_kept() {
    let site = |text: &str| format!(r#"{{ journal.runs = 2, resources.file."/etc/motd".content = "{text}" }}"#);
    let place = given!(place(&site("0")));
    for text in ["1", "2", "3", "4"] {
        fs::write(place.path("site.ncl"), site(text)).unwrap();
        assert_eq!(place.run("apply --root root site.ncl").code, 0);
    }
    let logs = || fs::read_dir(place.path("root/var/lib/provision/runs")).unwrap().count();
    assert_eq!(logs(), 2);
    assert_eq!(place.run("rollback --root root").code, 0);
    assert_eq!(logs(), 3, "an undo knows nothing of the site, and takes nothing away");
    let gone = place.run("rollback --root root 1");
    assert!(gone.err.contains("there is no run 1 in the journal"), "{}", gone.seen());
    fs::write(place.path("site.ncl"), "{ journal.runs = 0 }").unwrap();
    assert_eq!(place.run("validate site.ncl").code, 3);
}

#[test]
fn the_lock_tells_no_values_and_says_nothing_when_no_run_is_at_work() {
    let place = given!(started());
    let mut command = std::process::Command::new(crate::provision());
    command.args(["apply", "--root", "root", "--set", "resources.file.\"/etc/a\".content=\"hunter2\"", "site.ncl"]);
    assert_eq!(place.start(&mut command, "").code, 0);
    assert_eq!(fs::read(place.path("root/run/provision/lock")).unwrap(), b"");
    let mut strange = std::process::Command::new(crate::provision());
    let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(b"site\xff.ncl".to_vec());
    let ran = place.start(strange.args(["apply", "--root", "root"]).arg(name), "");
    assert_eq!(ran.code, 3, "{}", ran.seen());
}

#[test]
fn what_was_there_before_is_never_pruned_even_if_an_undo_put_it_back() {
    let place = given!(place(r#"{ resources.file."/etc/motd".ensure = 'absent }"#));
    let place = place.file("root/etc/motd", "the administrator's own\n");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(place.run("rollback --root root").code, 0);
    fs::write(place.path("site.ncl"), "{ prune = true }").unwrap();
    let pruned = place.run("apply --root root site.ncl");
    assert_eq!(pruned.code, 0, "{}", pruned.seen());
    assert!(place.path("root/etc/motd").exists(), "{}", pruned.seen());
}

#[test]
fn recovery_removes_nothing_that_came_after_the_death() {
    let place = given!(place(r#"{ resources.directory."/srv/old" = { ensure = 'absent, recurse = true } }"#));
    let place = place.file("root/srv/old/a", "a");
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    // As if the run had died while it removed the directory.
    let runs = place.path("root/var/lib/provision/runs");
    let log = fs::read_to_string(runs.join("00000001.done")).unwrap();
    let begun: String = log.split_inclusive('\n').take(3).collect();
    fs::write(runs.join("00000001.open"), begun).unwrap();
    fs::remove_file(runs.join("00000001.done")).unwrap();
    let place = place.file("root/srv/old/new", "since");
    fs::write(place.path("site.ncl"), r#"{ resources.file."/etc/x".content = "x" }"#).unwrap();
    let next = place.run("apply --root root site.ncl");
    assert_eq!(next.code, 0, "{}", next.seen());
    assert_eq!(fs::read_to_string(place.path("root/srv/old/new")).unwrap(), "since", "{}", next.seen());
    assert!(next.out.contains("is not what was there before"), "{}", next.seen());
}

#[test]
fn the_run_that_is_undone_by_default_is_one_that_did_something() {
    let site = r#"{ resources.file = {
      "/etc/a".content = "a",
      "/etc/bad" = { content = "b", validate = "/no/such/program %" },
    } }"#;
    let place = given!(place(site));
    for _ in 0..2 {
        assert_eq!(place.run("apply --root root site.ncl").code, 1);
    }
    let undone = place.run("rollback --root root");
    assert_eq!(undone.code, 0, "{}", undone.seen());
    assert!(!place.path("root/etc/a").exists(), "{}", undone.seen());
    // And one that has undone itself is none.
    fs::write(place.path("site.ncl"), site.replacen("{ resources", "{ on_failure = 'rollback, resources", 1)).unwrap();
    let failed = place.run("apply --jobs 1 --root root site.ncl");
    assert_eq!(failed.code, 1);
    assert!(!place.path("root/etc/a").exists(), "{}", failed.seen());
    let nothing = place.run("rollback --root root");
    assert!(nothing.err.contains("there is no run that could be undone"), "{}", nothing.seen());
}

#[test]
fn a_directory_that_an_undo_brought_back_can_go_again() {
    let place = given!(place(r#"{ resources.directory."/srv/www" = {} }"#));
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    for (run, there) in [("1", false), ("2", true), ("3", false)] {
        let undone = place.run(&format!("rollback --root root {run}"));
        assert_eq!(undone.code, 0, "{}", undone.seen());
        assert_eq!(place.path("root/srv/www").exists(), there, "after run {run}");
    }
}

#[test]
fn an_undo_says_what_of_a_file_comes_back() {
    let place = given!(place(r#"{ resources.file."/etc/motd" = { content = "old\n", mode = "0644" } }"#));
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let mut seen = Vec::new();
    for attributes in [
        r#"content = "old\n", mode = "0600""#,
        r#"content = "secret\n", mode = "0600""#,
        r#"content = "secret\n", mode = "0664", acl."user:nobody" = "r--", capabilities = "cap_net_raw=ep", flags.no_dump = true"#,
    ] {
        fs::write(place.path("site.ncl"), format!("{{ resources.file.\"/etc/motd\" = {{ {attributes} }} }}")).unwrap();
        assert_eq!(place.run("apply --root root site.ncl").code, 0);
        seen.push(place.run("rollback --plan --root root").out);
    }
    insta::assert_snapshot!("undo_of_attributes", seen.join("\n"));
}

#[test]
fn a_log_that_holds_nothing_is_no_damage_and_one_that_was_moved_is_none() {
    let place = given!(started());
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    fs::write(place.path("root/var/lib/provision/runs/00000002.open"), "").unwrap();
    fs::write(place.path("root/var/lib/provision/runs/00000007.done.bak"), "moved out of the way").unwrap();
    for arguments in
        ["plan --root root site.ncl", "history --root root", "rollback --plan --root root", "show --root root"]
    {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 0, "{}", ran.seen());
    }
    let next = place.run("show --root root 7");
    assert!(next.err.contains("the only one is run 1"), "{}", next.seen());
}

#[test]
fn a_saved_plan_takes_up_a_run_that_died() {
    let place = given!(started());
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let runs = place.path("root/var/lib/provision/runs");
    let log = fs::read_to_string(runs.join("00000001.done")).unwrap();
    // As if the run had died before it could write that it ended.
    let begun: String = log.split_inclusive('\n').take(log.lines().count() - 1).collect();
    fs::write(runs.join("00000001.open"), begun).unwrap();
    fs::remove_file(runs.join("00000001.done")).unwrap();
    fs::write(place.path("site.ncl"), r#"{ resources.file."/etc/x".content = "x" }"#).unwrap();
    assert_eq!(place.run("plan --root root -o site.plan site.ncl").code, 0);
    let applied = place.run("apply --root root site.plan");
    assert_eq!(applied.code, 0, "{}", applied.seen());
    assert!(applied.out.contains("Run 1 died") && place.path("root/etc/x").exists(), "{}", applied.seen());
}

#[test]
fn a_plan_is_saved_over_another_plan_and_over_nothing_else() {
    let place = given!(started());
    let refused = place.run("plan --root root -o site.ncl site.ncl");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("it holds something that is no saved plan"), "{}", refused.seen());
    assert_eq!(fs::read_to_string(place.path("site.ncl")).unwrap(), SITE);
    for _ in 0..2 {
        assert_eq!(place.run("plan --root root -o site.plan site.ncl").code, 0);
    }
    let no_site = place.run("plan --root root site.plan");
    assert_eq!(no_site.code, 64);
    assert!(no_site.err.contains("site.plan is a saved plan and no site"), "{}", no_site.seen());
    assert_eq!(place.run("apply --root root site.plan site.ncl").code, 64);
    assert_eq!(place.run("plan --simulate -o simulated.plan site.ncl").code, 64);
}

#[test]
fn an_undo_that_failed_is_tried_again_before_an_older_run_is_undone() {
    let place = given!(place(r#"{ resources.file."/srv/old".content = "old" }"#));
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let more = r#"{ resources.file = { "/srv/old".content = "old", "/srv/new/x".content = "x" } }"#;
    fs::write(place.path("site.ncl"), more).unwrap();
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let chattr = |flag: &str| {
        let done = std::process::Command::new("chattr").arg(flag).arg(place.path("root/srv/new")).status().unwrap();
        assert!(done.success());
    };
    chattr("+i");
    let failed = place.run("rollback --root root");
    chattr("-i");
    assert_eq!(failed.code, 1, "{}", failed.seen());
    assert_eq!(place.run("rollback --root root").code, 0);
    assert!(place.path("root/srv/old").exists() && !place.path("root/srv/new").exists());
}

#[test]
fn a_run_of_which_one_group_was_undone_can_be_undone_as_a_whole() {
    let site = r#"{ resources.file = {
      "/srv/other" = { content = "b", tags = ["b"] },
      "/srv/one" = { content = "a", tags = ["a"] },
      "/srv/two" = {
        content = "a", tags = ["a"], on_failure = 'rollback, requires = ["file:/srv/one"], validate = "/no/such/program %",
      },
    } }"#;
    let place = given!(place(site));
    assert_eq!(place.run("apply --jobs 1 --root root site.ncl").code, 1);
    assert!(place.path("root/srv/other").exists() && !place.path("root/srv/one").exists());
    let undone = place.run("rollback --root root");
    assert_eq!(undone.code, 0, "{}", undone.seen());
    assert!(!place.path("root/srv/other").exists(), "{}", undone.seen());
}

#[test]
fn a_file_below_home_is_pruned_like_any_other() {
    let site = |text: &str| format!(r#"{{ prune = true, resources = {{ {text} }} }}"#);
    let place = given!(place(&site(r#"file."/home/deploy/x".content = "1""#)));
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    for next in [r#"file."/home/deploy/x".content = "2""#, ""] {
        fs::write(place.path("site.ncl"), site(next)).unwrap();
        let ran = place.run("apply --root root site.ncl");
        assert_eq!(ran.code, 0, "{}", ran.seen());
    }
    assert!(!place.path("root/home/deploy/x").exists());
}

/// Any user could open the lock, and so hold it; without its file a second run took the first one for dead.
#[test]
fn the_lock_is_its_owners_alone_and_the_journal_has_one_of_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let place = given!(started());
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("root/run/provision"), mode("root/run/provision/lock")), (0o700, 0o600));
    let staged = place.path("root/var/lib/provision/.ledger.Ab12Cd.provision");
    fs::write(&staged, "half").unwrap();
    let journal = fs::File::open(place.path("root/var/lib/provision")).unwrap();
    let held = nix::fcntl::Flock::lock(journal, nix::fcntl::FlockArg::LockExclusive).ok().unwrap();
    fs::remove_dir_all(place.path("root/run/provision")).unwrap();
    let refused = place.run("apply --root root site.ncl");
    assert_eq!(refused.code, 5, "{}", refused.seen());
    assert!(refused.err.contains("another run is at work on this host"), "{}", refused.seen());
    assert!(staged.exists(), "it may be that of the other run");
    drop(held);
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert!(!staged.exists());
}
