//! What a test suite costs: converges on simulated hosts, and everything that is tried with an example.
//!
//! `cargo bench -p provision-benches --bench testing`; on one thread. With `-- converges`, only these.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench measures from outside")]

use std::path::Path;
use std::time::{Duration, Instant};

use provision_core::config::{Input, SiteSource};
use provision_core::sim::SimHost;
use provision_core::testing::{Site, Suite, SuiteOptions};
use provision_resources::registry;

const CONVERGES: u32 = 1000;

fn main() {
    println!("{:<60} {:>9} {:>9}", "", "here", "goal");
    let only_converges = std::env::args().any(|word| word == "converges");
    converges();
    if !only_converges {
        everything_of_an_example();
    }
}

fn show(what: &str, took: Duration, goal: Duration) {
    println!("{what:<60} {:>6} ms {:>6} ms", took.as_millis(), goal.as_millis());
}

/// 20 resources: files, directories, links, users, groups, a package and its service.
fn site() -> Site {
    let mut text =
        "{ resources = {\n  package.nginx.recommends = false,\n  service.nginx.on_change = 'reload,\n".to_owned();
    for number in 0..10 {
        text += &format!(
            "  file.\"/etc/nginx/conf.d/{number}.conf\" = {{ content = \"listen 80{number}0;\", notifies = [\"service:nginx\"] }},\n"
        );
    }
    for number in 0..2 {
        text += &format!(
            "  user.user{number} = {{}}, group.group{number} = {{}}, directory.\"/srv/{number}\".owner = \"user{number}\",\n  \
             symlink.\"/srv/link{number}\".target = \"/srv/{number}\",\n"
        );
    }
    Site::text(&registry(), &(text + "} }"))
}

fn converges() {
    let (site, bare) = (site(), SimHost::debian(13));
    // Evaluated once.
    assert_eq!(site.converge(&bare.clone()).unwrap().plan().steps.len(), 21);
    let started = Instant::now();
    for _ in 0..CONVERGES {
        assert!(!site.converge(&bare.clone()).unwrap().is_quiet());
    }
    show("1,000 converges of a site of 20 resources, from bare", started.elapsed(), Duration::from_secs(1));
}

fn everything_of_an_example() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web-server/site.ncl");
    let input = Input { sources: vec![SiteSource::File(file)], ..Input::default() };
    let started = Instant::now();
    let suite = Suite::new(&registry(), &input, &SuiteOptions::default()).unwrap();
    suite.checks().iter().for_each(|check| drop(check.run().unwrap()));
    show("all checks of examples/web-server", started.elapsed(), Duration::from_secs(2));
}
