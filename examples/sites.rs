//! Every example site converges on simulated hosts of each release, survives every fault, and can be undone.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use provision_core::sim::SimHost;
use provision_core::testing::{Failure, RELEASES, Site};
use provision_core::{assert_idempotent, assert_order_does_not_matter, assert_rolls_back};
use provision_resources::registry;

const SITES: [&str; 5] =
    ["jobs/site.ncl", "quickstart/site.ncl", "web-server/site.ncl", "roles/web1.ncl", "roles/web2.ncl"];

fn site(file: &str) -> Site {
    Site::load(&registry(), Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// A bare host, and one on which the web server runs with another configuration, so that a restart that gets lost is one
/// too few.
fn hosts(release: u32) -> [SimHost; 2] {
    let drifted = SimHost::debian(release)
        .with_package("nginx")
        .with_user("deploy")
        .with_file("/etc/nginx/conf.d/site.conf", "listen 8099;")
        .with_file("/etc/nginx/conf.d/web1.example.org.conf", "listen 8099;")
        .with_file("/etc/nginx/conf.d/web2.example.org.conf", "listen 8099;")
        .with_file("/etc/motd", "old");
    [SimHost::debian(release), drifted]
}

/// Its faults are those of its types, of which each is tried by itself.
#[test]
fn a_base_server_converges_in_any_order_and_can_be_undone() {
    for release in RELEASES {
        let (site, host) = (site("base-server/site.ncl"), SimHost::debian(release));
        assert_idempotent!(site, host);
        assert_rolls_back!(site, host);
        assert_order_does_not_matter!(site, host);
    }
}

#[test]
fn every_example_survives_every_fault_and_can_be_undone() {
    let mut faults = 0;
    for (file, release) in SITES.iter().flat_map(|file| RELEASES.map(|release| (file, release))) {
        let site = site(file);
        for host in hosts(release) {
            assert_idempotent!(site, host);
            assert_rolls_back!(site, host);
            assert_order_does_not_matter!(site, host);
            faults += site.survives_every_fault(&host).unwrap().faults;
        }
    }
    assert!(faults > 500, "{faults} faults");
}

#[test]
fn the_quickstart_converges() -> Result<(), Failure> {
    let host = SimHost::debian(13);
    site("quickstart/site.ncl").converge(&host)?;
    assert!(host.file("/etc/motd").text().contains("simulated"));
    Ok(())
}

#[test]
fn the_web_server_reloads_when_its_configuration_changes() -> Result<(), Failure> {
    let (site, host) = (site("web-server/site.ncl"), SimHost::debian(13));
    site.converge(&host)?;
    assert!(host.unit("nginx").is_active());
    let host = host.with_file("/etc/nginx/conf.d/site.conf", "listen 8099;");
    host.forget_counts();
    let run = site.converge(&host)?;
    assert!(run.has_changed("file:/etc/nginx/conf.d/site.conf"));
    assert_eq!((host.unit("nginx").reloads(), host.unit("nginx").restarts()), (1, 0));
    assert!(host.file("/etc/nginx/conf.d/site.conf").text().contains("server_name simulated.example.org;"));
    Ok(())
}

#[test]
fn a_host_overrides_the_defaults_of_a_role() -> Result<(), Failure> {
    let plain = SimHost::debian(12);
    site("roles/web1.ncl").converge(&plain)?;
    assert!(plain.file("/etc/nginx/conf.d/web1.example.org.conf").text().contains("listen 8080"));
    site("roles/web2.ncl").converge(&SimHost::debian(12))?;
    Ok(())
}
