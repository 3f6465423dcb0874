//! Each stage of a run that finds a thousand files in sync, by itself.
//!
//! `cargo bench -p provision-benches --bench stages`
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, reason = "a bench measures from outside")]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use provision_core::apply::ApplyOptions;
use provision_core::config::{EvaluationCache, Input, SiteSource, load};
use provision_core::facts::Facts;
use provision_core::host::LocalHost;
use provision_core::journal::{Journal, Purpose, RunInfo};
use provision_core::plan::PlanOptions;
use provision_core::resource::ResourceId;
use provision_core::site::Site;
use provision_resources::{Debian, registry};

const FILES: usize = 1000;

/// A root directory with files in it, and the site that declares them.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        for beneath in ["etc", "srv", "var/cache", "var/lib"] {
            fs::create_dir_all(root.join(beneath)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n").unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
        let mut site = String::from("{ resources.file = {\n");
        for number in 0..FILES {
            let content = format!("file {number}\nname = value-{number}\n");
            writeln!(site, "  \"/srv/file-{number}\" = {{ content = {content:?}, mode = \"0640\" }},").unwrap();
            let file = root.join(format!("srv/file-{number}"));
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        }
        fs::write(directory.path().join("site.ncl"), site + "} }\n").unwrap();
        Place { directory }
    }

    fn host(&self) -> LocalHost {
        LocalHost::open(&self.directory.path().join("root"), Debian::new()).unwrap()
    }

    fn site(&self, cache: Option<EvaluationCache>) -> Site {
        let file: PathBuf = self.directory.path().join("site.ncl");
        let input = Input { sources: vec![SiteSource::File(file)], cache, ..Input::default() };
        load(&registry(), &Facts::default(), input).unwrap()
    }
}

fn stages(criterion: &mut Criterion) {
    let place = Place::new();
    let host = place.host();
    let cache = EvaluationCache::new(host.cache().unwrap());
    let mut group = criterion.benchmark_group("1000 files in sync");
    group.sample_size(20);
    group.bench_function("gather facts", |bench| bench.iter(|| Facts::gather(&host).unwrap()));
    group.bench_function("evaluate the site", |bench| bench.iter(|| place.site(None)));
    group.bench_function("read what is kept of it", |bench| bench.iter(|| place.site(Some(cache.clone()))));
    let kept = || place.site(Some(cache.clone()));
    group.bench_function("order the resources", |bench| {
        bench.iter_batched(kept, |site| site.into_graph().unwrap(), BatchSize::SmallInput);
    });
    let graph = kept().into_graph().unwrap();
    group.bench_function("look at the host and plan", |bench| {
        // What a host remembers it does not look at again.
        bench.iter_batched(
            || place.host(),
            |host| drop(graph.plan(&host, &PlanOptions::default())),
            BatchSize::SmallInput,
        );
    });
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    assert!(planned.plan().is_empty());
    let journal = Journal::new(host.state().unwrap());
    group.bench_function("apply and report", |bench| {
        bench.iter(|| {
            let info =
                RunInfo { purpose: Purpose::Apply, who: "bench".into(), site: "site.ncl".into(), site_digest: None };
            let recorder = Some(journal.begin(&journal.lock().unwrap(), info).unwrap());
            planned.apply(&host, &ApplyOptions { recorder, ..ApplyOptions::default() }, &())
        });
    });
    let declared = (0..FILES).map(|number| ResourceId::new("file", format!("/srv/file-{number}"))).collect();
    group.bench_function("find what is no longer declared", |bench| {
        bench.iter(|| journal.orphans("site", &declared).unwrap())
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
