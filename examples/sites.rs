//! Every example site converges on a simulated host, and a second run finds nothing to do.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use provision_core::apply::ApplyOptions;
use provision_core::config::{Input, SiteSource, load};
use provision_core::facts::Facts;
use provision_core::host::{HostViewExt, SimHost};
use provision_core::plan::PlanOptions;
use provision_core::report::Report;
use provision_resources::registry;

fn converge(site: &str, host: &SimHost) -> Report {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(site);
    let input = Input { sources: vec![SiteSource::File(file)], ..Input::default() };
    let facts = Facts::gather(host).unwrap();
    let graph = load(&registry(), &facts, input).unwrap().into_graph().unwrap();
    assert!(graph.warnings().is_empty(), "{:?}", graph.warnings());
    graph.plan(host, &PlanOptions::default()).unwrap().apply(host, &ApplyOptions::default(), &())
}

fn converges(site: &str) -> SimHost {
    let host = SimHost::debian();
    let first = converge(site, &host);
    assert!(first.is_success() && first.changed_anything(), "{first:#?}");
    let second = converge(site, &host);
    assert!(second.is_success() && !second.changed_anything(), "{second:#?}");
    host
}

#[test]
fn the_quickstart_converges() {
    let host = converges("quickstart/site.ncl");
    assert!(host.read_text("/etc/motd").unwrap().unwrap().contains("simulated"));
}

#[test]
fn the_web_server_converges() {
    let host = converges("web-server/site.ncl");
    let conf = host.read_text("/etc/nginx/conf.d/site.conf").unwrap().unwrap();
    assert!(conf.contains("server_name simulated.example.org;"), "{conf}");
}

#[test]
fn a_host_overrides_the_defaults_of_a_role() {
    let plain = converges("roles/web1.ncl");
    assert!(plain.read_text("/etc/nginx/conf.d/web1.example.org.conf").unwrap().unwrap().contains("listen 8080"));
    converges("roles/web2.ncl");
}
