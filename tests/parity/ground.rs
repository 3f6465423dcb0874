//! Where scenarios are tried.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use provision_core::host::{Host, LocalHost};
use provision_core::sim::SimHost;
use provision_resources::Debian;

use super::compare::{disagreement, model_of};
use super::fresh::Fresh;
use super::host::{Directory, Result};
use super::scenario::{Scenario, scenarios};

/// Scenarios that are the same for the same seed.
fn runner(seed: u64, cases: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Tries scenarios on copies of a root directory. One that disagrees is made as small as it can be.
pub fn on_root_directories(release: &'static str, seed: u64, count: u32) -> Result {
    let directory = Directory::new(release)?;
    directory.inside(&["apt-get", "update", "-q"])?.expect(0)?;
    let model = {
        let host = LocalHost::open(&directory.root(), Debian::new()).map_err(|error| error.to_string())?;
        model_of(&host)?
    };
    let attempt = |scenario: &Scenario| -> Result {
        let fresh = Fresh::over(&directory.root())?;
        let host = LocalHost::open(&fresh.root(), Debian::new()).map_err(|error| error.to_string())?;
        disagreement(scenario, &host, &model.clone())
    };
    let mut runner = runner(seed, count);
    let mut resources = 0;
    let first = std::env::var("PROVISION_PARITY_FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for number in 0..count {
        let mut tree = scenarios().new_tree(&mut runner).map_err(|reason| reason.to_string())?;
        if number < first {
            continue;
        }
        resources += tree.current().resources.len();
        let Err(mut disagreement) = attempt(&tree.current()) else { continue };
        let mut smallest = tree.current();
        let mut tries = 0;
        while tries < 15 && tree.simplify() {
            tries += 1;
            match attempt(&tree.current()) {
                Err(still) => (disagreement, smallest) = (still, tree.current()),
                Ok(()) => {
                    if !tree.complicate() {
                        break;
                    }
                }
            }
        }
        return Err(format!("scenario {number} of seed {seed} on {release}:\n{disagreement}\n{smallest:?}"));
    }
    println!("{release}, root directory: {count} scenarios with {resources} resources agree");
    Ok(())
}

/// Tries scenarios on one host, each on what the last one left; the model begins anew with each.
pub fn on_one_host(host: &dyn Host, seed: u64, count: u32) -> Result<String> {
    let mut runner = runner(seed, count);
    let mut resources = 0;
    for number in 0..count {
        let tree = scenarios().new_tree(&mut runner).map_err(|reason| reason.to_string())?;
        let scenario = tree.current();
        resources += scenario.resources.len();
        let model: SimHost = model_of(host)?;
        disagreement(&scenario, host, &model)
            .map_err(|found| format!("scenario {number} of seed {seed}:\n{found}\n{scenario:?}"))?;
    }
    Ok(format!("{count} scenarios with {resources} resources agree"))
}
