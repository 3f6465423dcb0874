//! A resource type of one's own, in less than 40 lines, and the contract that a site gets for it.
//!
//! `cargo run -p provision-examples --bin custom-resource`
#![expect(clippy::print_stdout, reason = "a program may print")]

use provision_core::config::{Input, SiteSource, contract_library, load};
use provision_core::facts::Facts;
use provision_core::prelude::*;
use provision_core::sim::SimHost;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time zone of a host; the name does not matter.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Timezone {
    /// As in the tz database, such as `Europe/Zurich`.
    zone: String,
}

impl Resource for Timezone {
    const TYPE: &'static str = "timezone";
    type State = Option<String>;

    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        Ok(cx.host().read_text("/etc/timezone")?.map(|text| text.trim().to_owned()))
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok(Some(self.zone.clone()))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        cx.host().write_text("/etc/timezone", &format!("{}\n", self.zone))
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        HostPath::new("/etc/timezone").map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = provision_resources::registry().with::<Timezone>();
    let contracts = contract_library(&registry.descriptions());
    let start = contracts.find("\n  timezone").ok_or("the type has a contract")?;
    println!("{}\n", contracts[start..].lines().skip(1).take(12).collect::<Vec<_>>().join("\n"));

    let text = "{ resources.timezone.here.zone = \"Europe/Zurich\" }".to_owned();
    let sources = vec![SiteSource::Text { name: "site".into(), text }];
    let host = SimHost::debian(12);
    let site = load(&registry, &Facts::gather(&host)?, Input { sources, ..Input::default() })?;
    let engine = Engine::open(&host, Journal::new(MemoryStore::new()), Options::new("custom-resource"))?;
    let report = engine.plan(site, &PlanOptions::default())?.apply(&ApplyOptions::default(), &())?;
    println!("{} changed; /etc/timezone is {:?}", report.counts.changed, host.read_text("/etc/timezone")?);
    Ok(())
}
