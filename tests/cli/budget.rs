//! What a run costs that finds nothing to do, counted in calls of the kernel: the same on every machine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::requirements::{Missing, given, programs, require};
use crate::root_directory::{Mount, place};
use crate::{Place, provision};

/// What a run asks of the kernel for each file that is in sync: its owner and mode, and its content.
const PER_FILE: [(&str, usize); 4] = [("statx", 1), ("openat", 1), ("read", 1), ("close", 1)];

/// What it asks beside, however many files there are.
const BESIDE: usize = 450;

/// The calls that are made for memory, and those of debug builds.
const NOT_COUNTED: [&str; 7] = ["brk", "mmap", "munmap", "mprotect", "madvise", "futex", "fcntl"];

/// Calls of the kernel, one a line.
struct Trace(String);

impl Trace {
    /// Traces a run of a verb, which must find nothing to do.
    fn of(verb: &str, place: &Place) -> Trace {
        Trace::with(verb, &[], place)
    }

    fn with(verb: &str, options: &[&str], place: &Place) -> Trace {
        let file = place.path("trace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&file).arg(provision()).args([verb, "--root", "root", "site.ncl"]);
        strace.args(options);
        let ran = place.start(&mut strace, "");
        assert!(
            ran.code == 0 && ran.out.contains(if verb == "plan" { "in sync" } else { "Nothing to do" }),
            "{}",
            ran.seen()
        );
        Trace(fs::read_to_string(file).unwrap())
    }

    /// How often each was called.
    fn calls(&self) -> BTreeMap<&str, usize> {
        let mut calls = BTreeMap::new();
        for line in self.0.lines() {
            // `1234 openat(AT_FDCWD, …`; what was interrupted is resumed as `<... openat resumed>`.
            let name = line.split_once(' ').and_then(|(_, call)| Some(call.trim_start().split_once('(')?.0));
            if let Some(name) = name.filter(|name| !name.starts_with('<') && !NOT_COUNTED.contains(name)) {
                *calls.entry(name).or_default() += 1;
            }
        }
        calls
    }

    /// The calls that open something whose path ends like that, for more than to look at it.
    fn opened(&self, path: &str) -> Vec<&str> {
        let end = format!("{path}\"");
        let opens = |line: &&str| line.contains("openat") && line.contains(&end) && !line.contains("O_PATH");
        self.0.lines().filter(opens).collect()
    }

    /// How many bytes were read.
    fn bytes_read(&self) -> u64 {
        let reads = self.0.lines().filter(|line| line.contains(" read(") || line.contains("read resumed"));
        reads.filter_map(|line| line.rsplit_once(" = ")?.1.parse::<u64>().ok()).sum()
    }

    /// The processes that were started, threads apart.
    fn forks(&self) -> Vec<&str> {
        let is_process = |line: &&str| {
            let clones = ["clone(", "clone3(", "fork(", "vfork("].iter().any(|call| line.contains(call));
            clones && !line.contains("CLONE_THREAD")
        };
        self.0.lines().filter(is_process).collect()
    }
}

fn files(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "    \"/srv/file-{number}\" = {{ content = \"file {number}\\n\", mode = \"0640\" }},");
        text
    })
}

/// A root directory for runs that are traced.
fn traced(site: &str) -> Result<Place, Missing> {
    programs(&["strace"])?;
    place(site)
}

/// A root directory in which a site has been applied twice.
fn in_sync(site: &str) -> Result<Place, Missing> {
    let place = traced(site)?;
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    for says in ["Done", "Nothing to do"] {
        let ran = place.run("apply --root root site.ncl");
        assert!(ran.code == 0 && ran.out.contains(says), "{}", ran.seen());
    }
    Ok(place)
}

#[test]
fn a_file_in_sync_costs_four_calls_of_the_kernel() {
    let place = |count| in_sync(&format!("{{ resources.file = {{\n{} }} }}", files(count)));
    let (few, many) = (given!(place(100)), given!(place(300)));
    for verb in ["apply", "plan"] {
        assert_four_calls(&Trace::of(verb, &few), &Trace::of(verb, &many));
    }
}

/// For a hundred files, and for three hundred.
fn assert_four_calls(few: &Trace, many: &Trace) {
    assert_eq!(many.forks(), Vec::<&str>::new());
    let (few, many) = (few.calls(), many.calls());
    let total: usize = few.values().sum();
    assert!(total <= BESIDE + 100 * PER_FILE.len(), "{total} calls: {few:?}");
    let more: BTreeMap<&str, usize> = many
        .into_iter()
        .map(|(name, calls)| (name, calls.saturating_sub(few.get(name).copied().unwrap_or(0))))
        .collect();
    for (name, calls) in &more {
        let wanted = PER_FILE.iter().find(|(known, _)| known == name).map_or(0, |(_, each)| each * 200);
        // Reading the site and what is kept of it takes a few calls more if it is longer.
        assert!(*calls <= wanted + 10, "{name} is called {calls} times more for 200 files more: {more:?}");
    }
}

#[test]
fn packages_accounts_and_files_are_looked_at_once_and_by_no_other_program() {
    let accounts =
        (0..5).map(|number| format!("user.u{number} = {{ uid = {} }},\n", 2000 + number)).collect::<String>();
    let packages = (0..20).map(|number| format!("package.p{number} = {{}},\n")).collect::<String>();
    let site = format!("{{ resources = {{ {accounts} {packages} file = {{ {} }} }} }}", files(20));
    let place = given!(traced(&site));
    let status = (0..20).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "Package: p{number}\nStatus: install ok installed\nArchitecture: all\nMaintainer: m\nVersion: 1\nDescription: d\n"
        );
        text
    });
    let passwd = (0..5).fold("root:x:0:0:root:/root:/bin/bash\n".to_owned(), |mut text, number| {
        let _ = writeln!(text, "u{number}:x:{0}:{0}::/home/u{number}:/bin/sh", 2000 + number);
        text
    });
    let group = (0..5).fold("root:x:0:\n".to_owned(), |mut text, number| {
        let _ = writeln!(text, "u{number}:x:{}:", 2000 + number);
        text
    });
    let place = place
        .file("root/var/lib/dpkg/status", &status)
        .file("root/etc/passwd", &passwd)
        .file("root/etc/group", &group)
        .file("root/etc/shadow", "root:*:19000:0:99999:7:::\n")
        .file("root/var/cache/empty", "");
    for number in 0..5 {
        fs::create_dir_all(place.path(&format!("root/home/u{number}"))).unwrap();
        std::os::unix::fs::chown(place.path(&format!("root/home/u{number}")), Some(2000 + number), Some(2000 + number))
            .unwrap();
    }
    let first = place.run("apply --root root site.ncl");
    assert_eq!(first.code, 0, "{}", first.seen());
    let trace = Trace::of("apply", &place);
    assert_eq!(trace.forks(), Vec::<&str>::new());
    for path in ["var/lib/dpkg/status", "etc/passwd", "etc/group", "etc/shadow"] {
        assert!(trace.opened(path).len() <= 1, "{:#?}", trace.opened(path));
    }
}

/// Whether digests of files there are remembered.
fn is_telling(path: &Path) -> bool {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output().unwrap();
    ["ext2/ext3", "xfs", "btrfs", "f2fs"].contains(&String::from_utf8(output.stdout).unwrap().trim())
}

/// Changes a byte of a file, with the same size and time of modification as before.
fn change_secretly(path: &Path, byte: u8) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[byte], 1000).unwrap();
    file.set_modified(modified).unwrap();
}

/// What was written a moment ago may be written again without a trace, so it is read each time. How long that lasts, and
/// that a change after that is noticed, is tried beside the cache, where the time that has to pass can be chosen.
#[test]
fn large_files_are_read_again_if_they_may_have_changed() {
    const SIZE: u64 = 8 << 20;
    let large = "x".repeat(usize::try_from(SIZE).unwrap());
    let site = "{ resources.file.\"/srv/large\".source = \"large\" }";
    let place = given!(traced(site)).file("large", &large);
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    let first = place.run("apply --root root site.ncl");
    assert_eq!(first.code, 0, "{}", first.seen());
    for _ in 0..2 {
        assert!(Trace::of("apply", &place).bytes_read() >= 2 * SIZE);
    }
    let says_changed = || {
        let drifted = place.run("apply --root root site.ncl");
        assert!(drifted.code == 0 && drifted.out.contains("1 changed"), "{}", drifted.seen());
    };
    change_secretly(&place.path("root/srv/large"), b'y');
    says_changed();
    assert!(fs::read(place.path("root/srv/large")).unwrap() == large.as_bytes());
    // And so of the file that it comes from.
    change_secretly(&place.path("large"), b'z');
    says_changed();
    assert_eq!(fs::read(place.path("root/srv/large")).unwrap()[1000], b'z');
}

/// A large file of this repository, older than the programs that are built from it, is in sync with itself.
#[test]
fn large_files_that_have_long_been_the_same_are_not_read_again() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("provision-core/data");
    let large = data.join("debian.packages.zst");
    let about = fs::metadata(&large).unwrap();
    let site = format!(
        "{{ resources.file.\"/srv/debian.packages.zst\" = {{ source = {large:?}, mode = \"{:04o}\" }} }}",
        about.mode() & 0o777
    );
    let place = given!(traced(&site));
    given!(require(is_telling(&data), || "a repository on a file system that tells of every change".to_owned()));
    given!(require((about.uid(), about.gid()) == (0, 0), || "a repository that belongs to root".to_owned()));
    fs::create_dir_all(place.path("root/var/cache")).unwrap();
    fs::create_dir_all(place.path("root/srv")).unwrap();
    // Whatever a run would do: the kernel lets nothing be written there.
    let _mount = Mount::bind_read_only(&data, &place.path("root/srv"));
    assert!(Trace::of("apply", &place).bytes_read() >= 2 * about.len());
    for verb in ["apply", "plan"] {
        assert!(Trace::of(verb, &place).bytes_read() <= about.len() / 2);
    }
    assert!(Trace::with("plan", &["--full"], &place).bytes_read() >= 2 * about.len());
}

/// Instructions of a plan for a simulated host with a hundred new files: evaluation, order, plan and rendering.
const PLAN: u64 = 150_000_000;

/// How much more than that is still no regression, in percent: compilers differ a little.
const MARGIN: u64 = 15;

/// The same program takes the same instructions wherever it runs, so they need no quiet machine.
#[test]
fn a_plan_takes_no_more_instructions_than_it_did() {
    let debug = provision();
    let built = debug.ancestors().nth(2).unwrap().join("x86_64-unknown-linux-gnu/release/provision");
    given!(require(built.exists(), || "the static command line: cargo static".to_owned()));
    given!(programs(&["valgrind"]));
    let place = Place::with(&format!("{{ resources.file = {{\n{} }} }}", files(100)));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(built);
    let ran = place.start(valgrind.args(["plan", "--simulate", "site.ncl"]), "");
    assert!(ran.code == 0 && ran.out.contains("100 to change"), "{}", ran.seen());
    let collected = ran.err.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    let instructions: u64 = collected.and_then(|count| count.parse().ok()).unwrap();
    let most = PLAN + PLAN * MARGIN / 100;
    assert!(instructions <= most, "{instructions} instructions, and the budget is {PLAN} and {MARGIN} % more");
    assert!(instructions >= PLAN / 2, "{instructions} instructions: the budget of {PLAN} can be made smaller");
}
