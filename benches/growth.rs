//! How the work grows with the site: ten times the resources should take about ten times as long.
//!
//! `cargo bench -p provision-benches --bench growth -- 10000 100000`; the sizes may be left out.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures from outside"
)]

use std::fs;
use std::time::Instant;

use provision_core::apply::ApplyOptions;
use provision_core::graph::Graph;
use provision_core::host::{Host, LocalHost};
use provision_core::journal::{Journal, MemoryStore, Purpose, RunInfo};
use provision_core::plan::PlanOptions;
use provision_core::resource::ResourceId;
use provision_core::sim::SimHost;
use provision_core::site::{Entry, Site};
use provision_resources::{Debian, Directory, File, Service};

/// What is asked of a host by so many resources.
type Shape = fn(usize) -> Site;

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000] } else { sizes };
    let shapes: [(&str, Shape); 4] = [
        ("files side by side", |count| files(count, |_, _| {})),
        ("each file requires the one before", chain),
        ("one service is notified by all files", notified),
        ("files in deep directories", deep),
    ];
    println!("{:<38} {:>9} {:>10} {:>10} {:>10} {:>10}", "ms", "resources", "order", "plan", "apply", "in sync");
    for (name, shape) in shapes {
        sizes.iter().for_each(|size| measure(name, *size, shape));
    }
    for size in sizes {
        purge(size);
    }
}

fn measure(name: &str, size: usize, shape: Shape) {
    let unit = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
    let host = SimHost::debian(12).with_file("/etc/systemd/system/app.service", unit).with_started_unit("app.service");
    let site = shape(size);
    let (graph, order) = timed(|| site.into_graph().unwrap());
    let journal = Journal::new(MemoryStore::new());
    let mut times = vec![order];
    for _ in 0..2 {
        let (planned, plan) = timed(|| graph.plan(&host, &PlanOptions::default()).unwrap());
        let (_, apply) = timed(|| {
            let info = RunInfo { purpose: Purpose::Apply, who: "bench".into(), site: name.into(), site_digest: None };
            let recorder = Some(journal.begin(&journal.lock().unwrap(), info).unwrap());
            let report = planned.apply(&host, &ApplyOptions { recorder, ..ApplyOptions::default() }, &());
            assert!(report.is_success(), "{report:?}");
        });
        times.extend([plan, apply]);
    }
    println!(
        "{name:<38} {size:>9} {:>10.0} {:>10.0} {:>10.0} {:>10.0}",
        times[0],
        times[1],
        times[2],
        times[3] + times[4]
    );
}

/// A directory of so many files that are not declared.
fn purge(size: usize) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("srv/many");
    fs::create_dir_all(&directory).unwrap();
    (0..size).for_each(|number| fs::write(directory.join(format!("file-{number}")), "").unwrap());
    let host = LocalHost::open(place.path(), Debian::new()).unwrap();
    let graph = |purge| {
        let mut site = Site::new();
        site.declare("/srv/many", Directory { purge, ..Directory::default() });
        site.into_graph().unwrap()
    };
    let ((), kept) = timed(|| look(&graph(false), &host));
    let ((), purged) = timed(|| look(&graph(true), &host));
    println!("{:<38} {size:>9} {:>10} {:>10.0} {:>10} {:>10.0}", "a directory that is purged", "", purged, "", kept);
}

fn look(graph: &Graph, host: &dyn Host) {
    assert!(graph.plan(host, &PlanOptions::default()).unwrap().plan().is_feasible());
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let done = work();
    (done, started.elapsed().as_secs_f64() * 1000.0)
}

fn name(number: usize) -> String {
    format!("/srv/files/file-{number:06}")
}

fn files(count: usize, more: impl Fn(usize, Entry<'_, File>)) -> Site {
    let mut site = Site::new();
    for number in 0..count {
        more(number, site.declare(&name(number), File::default().content(format!("file {number}\n"))));
    }
    site
}

fn chain(count: usize) -> Site {
    files(count, |number, file| {
        if let Some(before) = number.checked_sub(1) {
            file.requires(ResourceId::new("file", name(before)));
        }
    })
}

fn notified(count: usize) -> Site {
    let mut site = files(count, |_, file| {
        file.notifies(ResourceId::new("service", "app"));
    });
    site.declare("app", Service::default());
    site
}

fn deep(count: usize) -> Site {
    let mut site = Site::new();
    for number in 0..count {
        let (a, b, c) = (number / 10_000, number / 1000 % 10, number / 100 % 10);
        site.declare(&format!("/srv/{a}/{b}/{c}/{number}"), File::default().content("text\n"));
    }
    site
}
