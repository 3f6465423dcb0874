//! Installing 50 small packages, against one bare `apt-get install` of the same list.
//!
//! `cargo bench -p provision-benches --bench packages`, as root, with `mmdebstrap`. The packages are fetched beforehand, so that the network
//! does not count.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures from outside"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const RUNS: usize = 3;
#[rustfmt::skip]
const PACKAGES: [&str; 50] = [
    "acl", "attr", "bc", "bsdextrautils", "bzip2", "cpio", "cron", "dc", "dos2unix", "ed", "figlet", "file",
    "gawk", "hello", "htop", "iotop", "iputils-ping", "jq", "less", "logrotate", "lsof", "m4", "make", "moreutils",
    "nano", "ncdu", "netcat-openbsd", "patch", "procps", "psmisc", "pv", "pwgen", "rsync", "screen", "sl", "socat",
    "strace", "sudo", "telnet", "time", "tmux", "traceroute", "tree", "units", "unzip", "uuid-runtime", "wget",
    "whois", "xz-utils", "zip",
];

fn main() {
    let place = tempfile::tempdir().unwrap();
    let base = place.path().join("base");
    run(Command::new("mmdebstrap").args(["--variant=minbase", "bookworm"]).arg(&base));
    run(chroot(&base).args(["apt-get", "update", "-q"]));
    run(chroot(&base).args(["apt-get", "install", "-y", "-q", "--download-only"]).args(PACKAGES));
    let site = place.path().join("site.ncl");
    let declared: String = PACKAGES.iter().map(|name| format!("{name:?} = {{}}, ")).collect();
    std::fs::write(&site, format!("{{ resources.package = {{ {declared} }} }}")).unwrap();
    let here = std::env::current_exe().unwrap();
    let provision = here.ancestors().nth(2).unwrap().join("provision");
    assert!(provision.exists(), "build it first: cargo build --release -p provision-cli");
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let root = copy(&base, place.path());
        times.0.push(time(Command::new(&provision).arg("--root").arg(&root).arg("apply").arg(&site)));
        run(Command::new("rm").arg("-rf").arg(&root));
        let root = copy(&base, place.path());
        let mut apt = chroot(&root);
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["apt-get", "install", "-y", "-q"]).args(PACKAGES);
        times.1.push(time(&mut apt));
        run(Command::new("rm").arg("-rf").arg(&root));
    }
    let (here, floor) = (median(times.0), median(times.1));
    println!(
        "install {} packages: {:.2} s, apt-get alone {:.2} s, ratio {:.2} (goal 1.05; medians of {RUNS} runs)",
        PACKAGES.len(),
        here.as_secs_f64(),
        floor.as_secs_f64(),
        here.as_secs_f64() / floor.as_secs_f64()
    );
}

fn chroot(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root);
    command
}

fn copy(base: &Path, place: &Path) -> PathBuf {
    let root = place.join("root");
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(base).arg(&root));
    root
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn time(command: &mut Command) -> Duration {
    let started = Instant::now();
    run(command);
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
