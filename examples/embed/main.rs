//! A program that keeps a host in order by itself: it declares resources in Rust, without Nickel, applies them, and takes a run
//! back.
//!
//! `cargo run -p provision-examples --bin embed` works on a simulated host; with a directory as its argument, on the
//! Debian system in that directory (as root).
#![expect(clippy::print_stdout, reason = "a program may print")]

use std::error::Error as AnyError;
use std::path::Path;

use provision_core::prelude::*;
use provision_core::sim::SimHost;
use provision_resources::{Debian, Directory, File, Package, Service, User};

fn main() -> Result<(), Box<dyn AnyError>> {
    match std::env::args().nth(1) {
        Some(directory) => {
            let host = LocalHost::open(Path::new(&directory), Debian::new())?;
            run(&Engine::local(host, Options::new("embed"))?)
        }
        None => {
            let journal = Journal::new(MemoryStore::new());
            run(&Engine::open(SimHost::debian(12), journal, Options::new("embed"))?)
        }
    }
}

/// A web server, with what its configuration says.
fn web_server(configuration: &str) -> Site {
    let mut site = Site::new();
    site.declare("nginx", Package::default());
    let nginx = site.declare("nginx", Service::default().running(true).enabled(true)).handle();
    let deploy = site.declare("deploy", User::default().system(true)).handle();
    site.declare("/srv/www", Directory::default().owner(&deploy).mode(Mode::new(0o2775)));
    site.declare("/etc/nginx/conf.d/site.conf", File::default().content(configuration)).notifies(&nginx).tag("web");
    site
}

fn run<H: Host>(engine: &Engine<H>) -> Result<(), Box<dyn AnyError>> {
    println!("The host is as declared:");
    let report = apply(engine, web_server("server { listen 8080; root /srv/www; }\n"), &Cancel::default())?;
    if !report.is_success() {
        return Err("the host is not as declared".into());
    }

    println!("A step fails, and the others go on:");
    let mut site = web_server("server { listen 8081; root /srv/www; }\n");
    site.declare("/etc/hostname/motd", File::default().content("nothing can lie below a file\n"));
    let changed = apply(engine, site, &Cancel::default())?;

    println!("A run is stopped before it begins:");
    let cancel = Cancel::default();
    cancel.cancel();
    let stopped = apply(engine, web_server("server { listen 8082; root /srv/www; }\n"), &cancel)?;
    println!("  {} resources were not reached", stopped.counts.not_run);

    if let Some(run) = changed.run {
        println!("Run {run} is taken back:");
        let undo = engine.rollback(run, RollbackOptions::default())?;
        let report = undo.apply(&ApplyOptions::default(), &told)?;
        println!("  {} changed", report.counts.changed);
    }
    Ok(())
}

fn apply<H: Host>(engine: &Engine<H>, site: Site, cancel: &Cancel) -> Result<Report, Box<dyn AnyError>> {
    let prepared = engine.plan(site, &PlanOptions::default())?;
    let options = ApplyOptions { cancel: cancel.clone(), ..ApplyOptions::default() };
    let report = prepared.apply(&options, &told)?;
    println!("  {} changed, {} in sync", report.counts.changed, report.counts.in_sync);
    Ok(report)
}

/// Shows what is done, and what fails.
fn told(event: &Event<'_>) {
    match event {
        Event::EffectStarted { effect, .. } => println!("  {effect}"),
        Event::StepFinished { step } => {
            if let Outcome::Failed { error } = &step.outcome {
                println!("  {} failed: {error}", step.id);
            }
        }
        _ => {}
    }
}
