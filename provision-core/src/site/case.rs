//! Tests that a site brings along: what a host begins with, and how it should be after a converge.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::facts::{Addresses, Facts};
use crate::id::ResourceId;
use crate::path::{HostPath, Mode};

use super::Spans;

/// A test that a site brings along, by its name in `tests`.
#[derive(Clone, Debug)]
pub struct SiteTest {
    /// Its name.
    pub name: String,
    /// What it says.
    pub case: TestCase,
    /// Where it says it.
    pub spans: Spans,
}

/// What a test says: a host, and how it should be once the site has converged on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestCase {
    /// The releases of Debian that it is tried on, such as `[12, 13]`; all by default.
    pub releases: Vec<u32>,
    /// Facts that differ from those of the simulated host.
    pub facts: TestFacts,
    /// What the host begins with.
    pub host: StartingState,
    /// Whether the site has converged on the host before.
    pub converged: bool,
    /// What is expected.
    pub expect: Expectations,
}

/// Facts that differ from those of the simulated host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestFacts {
    /// The name of the host without a domain.
    pub hostname: Option<String>,
    /// The name with its domain; the name alone if only that is given.
    pub fqdn: Option<String>,
    /// Debian's name of the architecture, such as `amd64`.
    pub architecture: Option<String>,
    /// Release of the kernel, such as `6.1.0-41-amd64`.
    pub kernel: Option<String>,
    /// Number of processors.
    pub cpus: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Addresses of all interfaces but the loopback.
    pub addresses: Option<TestAddresses>,
    /// The virtualisation that it runs in: `kvm`, `container`, … or `none`.
    pub virtualisation: Option<String>,
}

/// Addresses of a host in a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestAddresses {
    /// IPv4, in dotted form.
    pub ipv4: Vec<String>,
    /// IPv6.
    pub ipv6: Vec<String>,
}

/// What a simulated host begins with, beside its installation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartingState {
    /// A host that `provision record host` wrote down, instead of a minimal installation; a path from the site's file on.
    pub fixture: Option<String>,
    /// Packages that are installed, with what they depend on.
    pub packages: Vec<String>,
    /// Packages that are held.
    pub held: Vec<String>,
    /// Paths at which nothing is, although the installation has something there.
    pub absent: Vec<HostPath>,
    /// Files: their text, or more of them.
    pub files: BTreeMap<HostPath, StartingFile>,
    /// Directories.
    pub directories: Vec<HostPath>,
    /// Symbolic links, with their targets.
    pub links: BTreeMap<HostPath, String>,
    /// Users, each with a group and a home.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Units that never start.
    pub failing_units: Vec<String>,
    /// Commands, by their first words, with what they answer.
    pub commands: BTreeMap<String, CommandAnswer>,
    /// Bytes that are left on the disk.
    pub free_bytes: Option<u64>,
    /// Whether units run; not so in a root directory.
    pub running: Option<bool>,
    /// Another program that holds the lock of the package database.
    pub package_lock: Option<String>,
    /// Seconds since the package lists were fetched.
    pub lists_age: Option<u64>,
}

/// A file that a host begins with.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum StartingFile {
    /// One that belongs to root and that all may read.
    Text(String),
    /// One with an owner, a group and a mode.
    Full(FullFile),
}

/// By hand, because what is derived does not say which field of a file is wrong.
impl<'de> Deserialize<'de> for StartingFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StartingFile, D::Error> {
        struct File;
        impl<'de> Visitor<'de> for File {
            type Value = StartingFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a record with a `text`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StartingFile, E> {
                Ok(StartingFile::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<StartingFile, A::Error> {
                FullFile::deserialize(MapAccessDeserializer::new(fields)).map(StartingFile::Full)
            }
        }
        deserializer.deserialize_any(File)
    }
}

/// A file with an owner, a group and a mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullFile {
    /// What it holds.
    pub text: String,
    /// The user that owns it; root by default.
    #[serde(default = "root")]
    pub owner: String,
    /// Its group; root by default.
    #[serde(default = "root")]
    pub group: String,
    /// Permission bits; `0644` by default.
    #[serde(default = "readable")]
    pub mode: Mode,
}

fn root() -> String {
    "root".to_owned()
}

fn readable() -> Mode {
    Mode::new(0o644)
}

/// What a command answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandAnswer {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// What is expected of a converge, and of the host after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Expectations {
    /// The site is refused under these facts, with a message that contains this.
    pub invalid: Option<String>,
    /// The resources that fail, and no others.
    pub fails: Vec<ResourceId>,
    /// The resources that change, and no others.
    pub changes: Option<Vec<ResourceId>>,
    /// What the plan says of resources.
    pub plan: BTreeMap<String, PlanWord>,
    /// What lies at paths.
    pub files: BTreeMap<HostPath, FileExpectation>,
    /// Whether packages are installed.
    pub packages: BTreeMap<String, bool>,
    /// Whether there are users.
    pub users: BTreeMap<String, bool>,
    /// Whether there are groups.
    pub groups: BTreeMap<String, bool>,
    /// What units do, and did during the converge.
    pub units: BTreeMap<String, UnitExpectation>,
}

/// What a plan says of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanWord {
    /// It is as declared.
    InSync,
    /// It is changed.
    Change,
    /// It is decided later.
    Deferred,
    /// It cannot be brought about.
    Failed,
    /// It is left alone because of another that cannot.
    Skipped,
}

/// What lies at a path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileExpectation {
    /// Whether something is there; so if anything else is expected of it.
    pub exists: Option<bool>,
    /// All that it holds.
    pub text: Option<String>,
    /// Parts of what it holds.
    pub contains: Vec<String>,
    /// What it does not hold.
    pub lacks: Vec<String>,
    /// The target of a link.
    pub target: Option<String>,
    /// The user that owns it.
    pub owner: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Permission bits.
    pub mode: Option<Mode>,
}

/// What a unit does, and did during the converge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnitExpectation {
    /// Whether there is such a unit; so if anything else is expected of it.
    pub exists: Option<bool>,
    /// Whether it runs.
    pub active: Option<bool>,
    /// Whether it starts at boot.
    pub enabled: Option<bool>,
    /// Whether it is masked.
    pub masked: Option<bool>,
    /// How often it was started.
    pub starts: Option<u32>,
    /// How often it was restarted while it ran.
    pub restarts: Option<u32>,
    /// How often it read its configuration anew.
    pub reloads: Option<u32>,
}

impl TestFacts {
    /// These facts over others.
    pub fn over(&self, facts: Facts) -> Facts {
        let hostname = self.hostname.clone();
        let fqdn = self.fqdn.clone().or_else(|| hostname.clone());
        Facts {
            hostname: hostname.unwrap_or(facts.hostname),
            fqdn: fqdn.unwrap_or(facts.fqdn),
            architecture: self.architecture.clone().or(facts.architecture),
            kernel: self.kernel.clone().or(facts.kernel),
            cpus: self.cpus.or(facts.cpus),
            memory_mib: self.memory_mib.or(facts.memory_mib),
            addresses: self
                .addresses
                .clone()
                .map_or(facts.addresses, |given| Addresses { ipv4: given.ipv4, ipv6: given.ipv6 }),
            virtualisation: self.virtualisation.clone().or(facts.virtualisation),
            ..facts
        }
    }
}
