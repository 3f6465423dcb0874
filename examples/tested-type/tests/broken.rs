//! What is said of a type that changes what it does not claim.

use provision_core::error::Result;
use provision_core::host::{HostExt, HostViewExt};
use provision_core::path::HostPath;
use provision_core::registry::Registry;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Law, Laws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Motd {
    text: String,
}

impl Resource for Motd {
    const TYPE: &'static str = "motd";
    type State = Option<String>;

    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        cx.host().read_text("/etc/motd")
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok(Some(self.text.clone()))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        let host = cx.host();
        host.write_text("/etc/issue", "mine\n")?;
        host.write_text("/etc/motd", &self.text)
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        HostPath::new("/etc/motd").map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
    }
}

#[test]
fn what_is_not_claimed_is_told() {
    let case = Case::new("fresh", SimHost::debian(13), "greeting", Motd { text: "hello\n".to_owned() });
    let verdicts = Laws::new(Registry::new().with::<Motd>()).of([case]).try_all();
    assert_eq!(verdicts.broken(), [Law::NothingOutsideItsClaims]);
    insta::assert_snapshot!(verdicts, @r"
                                                    motd
    1 looking never writes, and repeats                1
    2 plan is idempotent                               4
    3 the plan is what happens                         1
    4 the second run is quiet                          1
    5 a crash is survived                             18
    6 no torn files                                    6
    7 nothing outside its claims                  BROKEN
    8 failures are reported                           10
    9 contract and type agree                        390
    10 round trip, closed                              1
    11 an empty world is survived                      2
    12 secrets stay in                                 0
    13 undo is exact                                   1
    14 order does not matter                           9

    motd breaks the law 7 nothing outside its claims: fresh: `write /etc/issue` changes /etc/issue, which it does not claim
    ");
}
