//! Tests of the site: what a test in Nickel cannot say, or what a program says more shortly.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use provision_core::report::Outcome;
use provision_core::sim::SimHost;
use provision_core::testing::{Failure, Row, Site, each};
use provision_core::{assert_idempotent, assert_order_does_not_matter, assert_rolls_back, assert_survives_every_fault};
use provision_resources::registry;

const CONFIGURATION: &str = "/etc/nginx/conf.d/site.conf";

fn site() -> Site {
    Site::load(&registry(), Path::new(env!("CARGO_MANIFEST_DIR")).join("site.ncl")).unwrap()
}

/// A host with so much memory, as its kernel says.
fn host_with_memory(release: u32, mib: u64) -> SimHost {
    SimHost::debian(release).with_file("/proc/meminfo", format!("MemTotal: {} kB\n", mib * 1024))
}

#[test]
fn the_plan_for_a_bare_host() -> Result<(), Failure> {
    let run = site().converge(&SimHost::debian(13))?;
    insta::assert_snapshot!(run.plan(), @r"
    ~ package:nginx
        presence: absent → installed
    ~ file:/etc/nginx/conf.d/site.conf
        ensure: absent → present
        content:
          +open_file_cache max=1000;
          +server {
          +  listen 8080;
          +  server_name simulated.example.org;
          +  root /srv/www;
          +}
        owner: root
        group: root
        mode: 0644
    ~ directory:/srv/www
        ensure: absent → present
        owner: root
        group: root
        mode: 0755
    ~ file:/srv/www/index.html
        ensure: absent → present
        content:
          +<h1>simulated.example.org</h1>
        owner: root
        group: root
        mode: 0644
      service:nginx
        then reload nginx.service because of file:/etc/nginx/conf.d/site.conf
    packages: libelf1t64 libbpf1 libmnl0 libkrb5support0 libcom-err2 libk5crypto3 libkeyutils1 libkrb5-3 libgssapi-krb5-2 libtirpc-common libtirpc3t64 libxtables12 libcap2-bin iproute2 nginx-common nginx
    ");
    Ok(())
}

#[test]
fn memory_decides_how_many_files_are_remembered() -> Result<(), Failure> {
    let host_of = |mib| Row::new(format!("{mib} MiB"), host_with_memory(13, mib));
    let rows = [
        host_of(512).expecting("max=1000;"),
        host_of(4095).expecting("max=1000;"),
        host_of(4096).expecting("max=10000;"),
        host_of(65536).expecting("max=10000;"),
        Row::new("a fact", SimHost::debian(12)).facts(|facts| facts.memory_mib = Some(8192)).expecting("max=10000;"),
    ];
    site().on_each(rows, |_, host, expected| {
        assert!(host.file(CONFIGURATION).text().contains(expected));
        Ok(())
    })
}

#[test]
fn a_host_with_little_memory_is_refused() {
    let failure = site().graph(&host_with_memory(13, 256)).err().unwrap();
    let diagnostics = failure.diagnostics().unwrap();
    assert!(diagnostics.list[0].message.ends_with("a web server needs 512 MiB of memory"), "{failure}");
}

#[test]
fn an_edited_file_is_put_right_by_one_reload() -> Result<(), Failure> {
    let (site, host) = (site(), SimHost::debian(13));
    site.converge(&host)?;
    let host = host.with_file(CONFIGURATION, "# edited by hand\n");
    host.forget_counts();
    let run = site.converge(&host)?;
    assert!(run.has_changed("file:/etc/nginx/conf.d/site.conf"));
    assert!(!run.has_changed("package:nginx"));
    assert_eq!((host.unit("nginx").reloads(), host.unit("nginx").restarts()), (1, 0));
    Ok(())
}

#[test]
fn another_port_is_a_change_of_one_file() -> Result<(), Failure> {
    let host = SimHost::debian(13);
    site().converge(&host)?;
    let resource = format!("resources.file.\"{CONFIGURATION}\".content");
    let run = site().set(&resource, "\"server { listen 8081; }\\n\"").converge(&host)?;
    assert_eq!(run.effects().count(), 2, "{}", run.plan());
    Ok(())
}

#[test]
fn nginx_that_does_not_start_is_told() -> Result<(), Failure> {
    let host = SimHost::debian(13).with_failing_unit("nginx");
    let run = site().attempt(&host)?;
    assert!(matches!(run.outcome("service:nginx"), Outcome::Failed { .. }));
    assert!(host.file(CONFIGURATION).exists());
    Ok(())
}

#[test]
fn every_host_of_every_release_gets_there() -> Result<(), Failure> {
    let rows = [
        Row::on_each_release("bare", |bare| bare),
        Row::on_each_release("with nginx", |bare| bare.with_package("nginx")),
        Row::on_each_release("with a user", |bare| bare.with_user("deploy").with_directory("/srv/www")),
        Row::on_each_release("with a link", |bare| bare.with_link("/srv/www/index.html", "/etc/motd")),
        Row::on_each_release("much memory", |bare| bare.with_file("/proc/meminfo", "MemTotal: 8388608 kB\n")),
    ];
    let site = site();
    site.on_each(rows.into_iter().flatten(), |_, host, ()| {
        let unit = host.unit("nginx");
        assert!(unit.is_active() && unit.is_enabled());
        assert!(site.converge(host)?.is_quiet());
        Ok(())
    })
}

#[test]
fn the_role_serves_where_it_is_told_to() -> Result<(), Failure> {
    let web = |settings: &str| {
        let role = Path::new(env!("CARGO_MANIFEST_DIR")).join("roles/web.ncl");
        Site::text(&registry(), &format!("(import {role:?}) {settings}"))
    };
    let cases = [
        ("a name", web("{ name = \"www.example.org\", port = 80, memory_mib = 512 }"), "server_name www.example.org;"),
        ("a port", web("{ name = \"web\", port = 8443, memory_mib = 512 }"), "listen 8443;"),
        ("much memory", web("{ name = \"web\", port = 80, memory_mib = 4096 }"), "max=10000;"),
    ];
    each(cases.map(|(name, site, expected)| (name, (site, expected))), |(site, expected)| {
        let host = SimHost::debian(13);
        site.converge(&host)?;
        assert!(host.file(CONFIGURATION).text().contains(expected));
        Ok(())
    })
}

#[test]
fn what_holds_for_every_site() {
    let site = site();
    for host in [SimHost::debian(12), SimHost::debian(13).with_package("nginx").with_file(CONFIGURATION, "old\n")] {
        assert_idempotent!(site, host);
        assert_survives_every_fault!(site, host);
        assert_rolls_back!(site, host);
        assert_order_does_not_matter!(site, host);
    }
}
