//! A user who exchanges directories and files for links, over and over, while root works in what is theirs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::Place;
use crate::requirements::{are_required, given};
use crate::root_directory::place;

const EVE: u32 = 65534;
const SECRET: &str = "nobody-but-root-may-read-this";

/// What must not change: path, mode, owner, group, content.
fn listing(directory: &Path) -> BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(path) = todo.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if about.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (about.mode(), about.uid(), about.gid(), content));
    }
    found
}

/// A directory with files that belong to root alone.
fn precious(directory: &Path) {
    fs::create_dir_all(directory.join("sub")).unwrap();
    for name in ["a", "gone", "keep", "sub/a", "sub/x", "authorized_keys"] {
        fs::write(directory.join(name), SECRET).unwrap();
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
}

/// What belongs to the user: real things, and beside each a link that takes its place time and again.
fn playground(place: &Place) -> Vec<(PathBuf, PathBuf)> {
    let eve = place.path("root/home/eve");
    for directory in ["data/sub", "tree/sub", ".ssh", "decoys"] {
        fs::create_dir_all(eve.join(directory)).unwrap();
    }
    for file in ["data/a", "data/gone", "data/hard", "tree/sub/x", "tree/a", ".ssh/authorized_keys"] {
        fs::write(eve.join(file), "eve's own").unwrap();
    }
    // What a kernel without fs.protected_hardlinks lets a user do.
    fs::hard_link(place.path("root/precious/keep"), eve.join("decoys/hard")).unwrap();
    let outside = place.path("outside").display().to_string();
    let up = format!("{}{outside}", "../".repeat(20));
    let links = [
        ("data", "/precious"),
        ("data/a", "/precious/a"),
        ("data/gone", &up),
        ("data/sub", "../../../precious/sub"),
        ("tree", "/precious"),
        ("tree/sub", &outside),
        ("tree/sub/x", "/precious/sub/x"),
        (".ssh", "/precious"),
        (".ssh/authorized_keys", "/precious/authorized_keys"),
    ];
    let mut pairs = vec![(eve.join("data/hard"), eve.join("decoys/hard"))];
    for (number, (name, target)) in links.into_iter().enumerate() {
        let decoy = eve.join(format!("decoys/{number}"));
        symlink(target, &decoy).unwrap();
        pairs.push((eve.join(name), decoy));
    }
    // Everything is theirs, but for the name that they gave to a file of root's.
    for (path, (.., content)) in listing(&eve) {
        if content != SECRET.as_bytes() {
            lchown(&path, Some(EVE), Some(EVE)).unwrap();
        }
    }
    pairs
}

fn site(round: u64) -> String {
    format!(
        r#"{{ resources = {{
          file."/home/eve/data/a" = {{ content = "round {round}\n", owner = "nobody", mode = "0{mode}" }},
          file."/home/eve/data/hard" = {{ owner = "nobody", group = "nogroup", mode = "0{mode}" }},
          file."/home/eve/data/sub/deep/b" = {{ content = "round {round}\n", backup = true }},
          file."/home/eve/data/gone".ensure = 'absent,
          file."/home/eve/data/followed" = {{ content = "round {round}\n", links = 'follow }},
          directory."/home/eve/tree" = {{ owner = "nobody", mode = "0{directory}", recurse = true, purge = {purge} }},
          directory."/home/eve/made" = {{ owner = "nobody", acl."user:4711" = "r-x" }},
          symlink."/home/eve/data/link" = {{ target = "round{round}", owner = "nobody" }},
          user.nobody = {{ home = "/home/eve", authorized_keys = {{ k{round} = "{key}" }} }},
        }} }}"#,
        mode = if round.is_multiple_of(2) { 644 } else { 666 },
        directory = if round.is_multiple_of(2) { 755 } else { 777 },
        purge = round.is_multiple_of(3),
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    )
}

#[test]
fn links_that_are_swapped_all_the_time_lead_nowhere() {
    let place = given!(place("{}"));
    let time = Duration::from_secs(if are_required() { 60 } else { 3 });
    precious(&place.path("root/precious"));
    precious(&place.path("outside"));
    let pairs = playground(&place);
    let before = (listing(&place.path("root/precious")), listing(&place.path("outside")));

    let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (told, counted) = (stop.clone(), swaps.clone());
    let swapper = std::thread::spawn(move || {
        let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
        while !told.load(Ordering::Relaxed) {
            // Some links take the places for a moment, others another time (xorshift64).
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let chosen = pairs.iter().enumerate().filter(|(place, _)| chance >> place & 1 == 1);
            // What a run has just removed, or what lies behind a link now, cannot be exchanged.
            let exchange = |(real, decoy): &(PathBuf, PathBuf)| {
                renameat2(AT_FDCWD, real, AT_FDCWD, decoy, RenameFlags::RENAME_EXCHANGE).is_ok()
            };
            let swapped: Vec<_> = chosen.map(|(_, pair)| pair).filter(|pair| exchange(pair)).collect();
            counted.fetch_add(swapped.len() as u64, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(chance >> 32 & 0xff));
            for pair in swapped.into_iter().rev() {
                exchange(pair);
            }
            std::thread::sleep(Duration::from_micros(chance >> 40 & 0x3ff));
        }
    });
    let started = Instant::now();
    let (mut rounds, mut done) = (0, 0);
    while started.elapsed() < time {
        rounds += 1;
        fs::write(place.path("site.ncl"), site(rounds)).unwrap();
        let arguments =
            if rounds.is_multiple_of(7) { "rollback --keep-changed --root root" } else { "apply --root root site.ncl" };
        let ran = place.run(arguments);
        assert!(matches!(ran.code, 0 | 1), "{}", ran.seen());
        assert!(!ran.seen().contains("panicked"), "{}", ran.seen());
        assert!(!ran.seen().contains(SECRET), "what root alone may read was shown: {}", ran.seen());
        done += u64::from(ran.out.contains("+ ") || ran.out.contains("~ "));
        let after = (listing(&place.path("root/precious")), listing(&place.path("outside")));
        assert_eq!(after, before, "round {rounds}: {}", ran.seen());
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    let swaps = swaps.load(Ordering::Relaxed);
    assert!(
        rounds > 5 && done > 0 && swaps > 1000,
        "{rounds} rounds, {done} of which changed something, {swaps} swaps"
    );
    println!("{rounds} rounds, {done} of which changed something, {swaps} swaps");
}
