//! A program that keeps a host in order by itself: it declares resources in Rust, without Nickel, and applies them.
//!
//! `cargo run -p provision-examples --bin embed` works on a simulated host; with a directory as its argument, on the
//! Debian system in that directory (as root).
#![expect(clippy::print_stdout, reason = "a program may print")]

use std::error::Error;
use std::path::Path;

use provision_core::apply::ApplyOptions;
use provision_core::host::{Host, LocalHost, SimHost};
use provision_core::observe::Event;
use provision_core::path::Mode;
use provision_core::plan::PlanOptions;
use provision_core::site::Site;
use provision_resources::{Debian, Directory, File, Package, Service};

fn main() -> Result<(), Box<dyn Error>> {
    let mut site = Site::new();
    site.declare("nginx", Package::default());
    let nginx = site.declare("nginx", Service::default()).id();
    site.declare("/srv/www", Directory { mode: Some(Mode::new(0o2775)), ..Directory::default() });
    site.declare("/etc/nginx/conf.d/site.conf", File::with_content("server { listen 8080; root /srv/www; }\n"))
        .notifies(nginx)
        .tag("web");

    let host: Box<dyn Host> = match std::env::args().nth(1) {
        Some(directory) => Box::new(LocalHost::open(Path::new(&directory), Debian::new())?),
        None => Box::new(SimHost::debian(12)),
    };

    let graph = site.into_graph()?;
    let planned = graph.plan(&*host, &PlanOptions::default())?;
    for step in &planned.plan().steps {
        println!("{}: {} effects", step.id, step.effects.len());
    }
    let report = planned.apply(&*host, &ApplyOptions::default(), &|event: &Event<'_>| {
        if let Event::EffectStarted { effect, .. } = event {
            println!("  {effect}");
        }
    });
    println!("{} changed, {} in sync, {} failed", report.counts.changed, report.counts.in_sync, report.counts.failed);
    if report.is_success() { Ok(()) } else { Err("the host is not as declared".into()) }
}
