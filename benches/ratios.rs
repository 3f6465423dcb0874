//! What the program costs, as ratios to what cannot be avoided, both measured in turn in one run.
//!
//! `cargo bench -p provision-benches --bench ratios`; memory is measured of the release build of the command line, if that is there.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures from outside"
)]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nickel_lang_core::eval::cache::CacheImpl;
use nickel_lang_core::program::{Program, ProgramBuilder};
use provision_core::apply::ApplyOptions;
use provision_core::config::{EvaluationCache, Evaluator, Input, SiteSource, contract_library, load};
use provision_core::error::Result;
use provision_core::facts::Facts;
use provision_core::host::LocalHost;
use provision_core::journal::{Journal, Purpose, RunInfo};
use provision_core::plan::PlanOptions;
use provision_core::registry::Registry;
use provision_core::resource::{ApplyContext, CheckContext, PlanContext, Resource};
use provision_core::sim::SimHost;
use provision_resources::{Debian, File, registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const FILES: usize = 1000;
const RUNS: usize = 9;
const HOSTS: usize = 100;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    make_files(&root);
    let site = directory.path().join("site.ncl");
    fs::write(&site, site_text()).unwrap();
    fs::write(directory.path().join("provision.ncl"), contract_library(&registry().descriptions())).unwrap();
    // First: a process that is begun later begins with the memory of this one.
    memory(&site, &root);
    println!(
        "{:<52} {:>9} {:>9} {:>6} {:>6}",
        format!("medians of {RUNS} runs, {FILES} files"),
        "here",
        "floor",
        "ratio",
        "goal"
    );
    report("evaluate a site, against bare Nickel", 1.2, || evaluated(&site), || bare_nickel(&site));
    report("evaluate and plan, against bare Nickel", 1.5, || evaluate_and_plan(&site), || bare_nickel(&site));
    let known = registry_of_many();
    let with_many = || evaluate_and_plan_with(&known, &site);
    report("a program that knows 45 more types, against this one", 1.05, with_many, || evaluate_and_plan(&site));
    let cache = EvaluationCache::new(LocalHost::open(&root, Debian::new()).unwrap().cache().unwrap());
    report("read a site that is kept, against bare Nickel", 0.1, || kept(&site, &cache), || bare_nickel(&site));
    let fleet = directory.path().join("fleet.ncl");
    fs::write(&fleet, fleet_text()).unwrap();
    report("one site for 100 hosts, against 100 evaluations", 0.2, || together(&fleet), || alone(&fleet));
    in_sync(&site, &root);
    journaling(&site, &root);
}

fn report(what: &str, goal: f64, mut here: impl FnMut(), mut floor: impl FnMut()) {
    let mut times = (Vec::new(), Vec::new());
    here();
    floor();
    for _ in 0..RUNS {
        times.0.push(time(&mut here));
        times.1.push(time(&mut floor));
    }
    show(what, goal, median(times.0), median(times.1));
}

fn show(what: &str, goal: f64, here: Duration, floor: Duration) {
    let ratio = here.as_secs_f64() / floor.as_secs_f64();
    println!("{what:<52} {:>6.1} ms {:>6.1} ms {ratio:>6.2} {goal:>6.2}", ms(here), ms(floor));
}

fn time(work: &mut impl FnMut()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn path(number: usize) -> String {
    format!("/srv/files/file-{number:04}.conf")
}

fn content(number: usize) -> String {
    format!("# file {number}\nname = value-{number}\nport = {}\n", 8000 + number)
}

fn site_text() -> String {
    let mut text = String::from("let p = import \"provision.ncl\" in\n{ resources.file = {\n");
    for number in 0..FILES {
        writeln!(
            text,
            "  {:?} = {{ content = {:?}, owner = \"root\", group = \"root\", mode = \"0644\" }},",
            path(number),
            content(number)
        )
        .unwrap();
    }
    text + "} } | p.Site\n"
}

fn make_files(root: &Path) {
    fs::create_dir_all(root.join("srv/files")).unwrap();
    for directory in ["etc", "var/cache", "var/lib"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("etc/os-release"), "ID=debian\n").unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    for number in 0..FILES {
        let file = root.join(path(number).trim_start_matches('/'));
        fs::write(&file, content(number)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

fn input(site: &Path) -> Input {
    Input { sources: vec![SiteSource::File(site.to_owned())], ..Input::default() }
}

fn evaluate_and_plan(site: &Path) {
    evaluate_and_plan_with(&registry(), site);
}

/// A type that no site names.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Unused<const NUMBER: usize>(File);

const UNUSED: [&str; 45] = [
    "unused0", "unused1", "unused2", "unused3", "unused4", "unused5", "unused6", "unused7", "unused8", "unused9",
    "unused10", "unused11", "unused12", "unused13", "unused14", "unused15", "unused16", "unused17", "unused18",
    "unused19", "unused20", "unused21", "unused22", "unused23", "unused24", "unused25", "unused26", "unused27",
    "unused28", "unused29", "unused30", "unused31", "unused32", "unused33", "unused34", "unused35", "unused36",
    "unused37", "unused38", "unused39", "unused40", "unused41", "unused42", "unused43", "unused44",
];

impl<const NUMBER: usize> Resource for Unused<NUMBER> {
    const TYPE: &'static str = UNUSED[NUMBER];
    type State = ();
    fn check(&self, _: &CheckContext<'_>) -> Result<()> {
        Ok(())
    }
    fn plan(&self, _: &PlanContext<'_>, (): &()) -> Result<()> {
        Ok(())
    }
    fn apply(&self, _: &ApplyContext<'_>, (): &(), (): &()) -> Result<()> {
        Ok(())
    }
}

/// The types of this program, and 45 more.
fn registry_of_many() -> Registry {
    let mut known = registry();
    macro_rules! know {
        ($($number:literal)*) => { $(known = known.with::<Unused<$number>>();)* };
    }
    know!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44);
    known
}

fn evaluate_and_plan_with(known: &Registry, site: &Path) {
    let graph = load(known, &Facts::default(), input(site)).unwrap().into_graph().unwrap();
    let host = SimHost::debian(12);
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    assert_eq!(planned.plan().counts().change, FILES);
}

fn evaluated(site: &Path) {
    load(&registry(), &Facts::default(), input(site)).unwrap();
}

/// A role, and a hundred files that are made with it for each host.
fn fleet_text() -> String {
    let mut text = String::from(
        "let p = import \"provision.ncl\" in\n\
         let role = fun text => { content = text, owner | default = \"root\", mode | p.Mode | default = \"0644\" } in\n\
         { resources.file = {\n",
    );
    for number in 0..HOSTS {
        writeln!(text, "  {:?} = role \"%{{p.facts.hostname}} {number}\",", path(number)).unwrap();
    }
    text + "} } | p.Site\n"
}

fn hosts() -> impl Iterator<Item = Facts> {
    (0..HOSTS).map(|number| {
        let mut facts = Facts::default();
        facts.hostname = format!("host-{number}");
        facts
    })
}

fn together(site: &Path) {
    let fleet = Evaluator::new(&registry(), input(site));
    hosts().for_each(|facts| drop(fleet.load(&facts).unwrap()));
}

fn alone(site: &Path) {
    hosts().for_each(|facts| drop(load(&registry(), &facts, input(site)).unwrap()));
}

/// The same as far as a graph, with what is kept of it.
fn kept(site: &Path, cache: &EvaluationCache) {
    let input = Input { cache: Some(cache.clone()), ..input(site) };
    load(&registry(), &Facts::default(), input).unwrap().into_graph().unwrap();
}

/// The same file with the same contracts, by Nickel alone.
fn bare_nickel(site: &Path) {
    let mut program: Program<CacheImpl> = ProgramBuilder::new().add_path(site.as_os_str()).build().unwrap();
    program.eval_full_for_export().unwrap();
}

fn in_sync(site: &Path, root: &Path) {
    let graph = load(&registry(), &Facts::default(), input(site)).unwrap().into_graph().unwrap();
    let paths: Vec<_> = (0..FILES).map(|number| root.join(path(number).trim_start_matches('/'))).collect();
    let expected: Vec<String> = (0..FILES).map(content).collect();
    report(
        "look at files in sync, against a loop of stat and read",
        3.0,
        || {
            let host = LocalHost::open(root, Debian::new()).unwrap();
            assert!(graph.plan(&host, &PlanOptions::default()).unwrap().plan().is_empty());
        },
        || {
            for (path, expected) in paths.iter().zip(&expected) {
                let metadata = fs::symlink_metadata(path).unwrap();
                assert!(metadata.uid() == 0 && metadata.mode() & 0o7777 == 0o644);
                assert_eq!(fs::read(path).unwrap(), expected.as_bytes());
            }
        },
    );
}

/// The same changes of small files with the same syncs, with and without a journal.
fn journaling(site: &Path, root: &Path) {
    let graph = load(&registry(), &Facts::default(), input(site)).unwrap().into_graph().unwrap();
    let apply = |journaled: bool| {
        for number in 0..FILES {
            fs::write(root.join(path(number).trim_start_matches('/')), "something else\n").unwrap();
        }
        let host = LocalHost::open(root, Debian::new()).unwrap();
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let journal = Journal::new(host.state().unwrap());
        let info = RunInfo { purpose: Purpose::Apply, who: "bench".into(), site: "bench".into(), site_digest: None };
        let recorder = journaled.then(|| journal.begin(&journal.lock().unwrap(), info).unwrap());
        let started = Instant::now();
        let report = planned.apply(&host, &ApplyOptions { recorder, ..ApplyOptions::default() }, &());
        assert!(report.is_success() && report.counts.changed == FILES);
        started.elapsed()
    };
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        times.0.push(apply(true));
        times.1.push(apply(false));
    }
    show("change files with a journal, against without", 2.5, median(times.0), median(times.1));
}

fn memory(site: &Path, root: &Path) {
    let here = std::env::current_exe().unwrap();
    let program = here.ancestors().nth(2).unwrap().join("provision");
    if !program.exists() {
        println!("peak memory: not measured; build with `cargo build --release -p provision-cli` first");
        return;
    }
    let output = std::process::Command::new(program)
        .arg("--root")
        .arg(root)
        .args(["plan", "--no-cache"])
        .arg(site)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    println!(
        "{:<52} {:>6} MB {:>16} {:>9}",
        "peak memory of a plan, evaluated anew",
        usage.max_rss() / 1024,
        "",
        "60 MB"
    );
}
