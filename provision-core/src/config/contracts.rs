//! The contract library that a site can import as `provision.ncl`.
//!
//! It declares every attribute and gives no default: a default in a contract would clash with the `| default` of
//! a user's own role. Defaults live in the Rust types, and are told in the documentation.

use std::fmt::Write;

use schemars::schema_for;

use super::TypeDescription;
use super::schema::{Writer, documentation, field_name, string};
use super::session::FACTS_OF_HOST;
use crate::site::{StartingState, TestCase};

const HEADER: &str = "\
# The contracts of provision, made from its resource types. `provision schema` writes this file for editors;
# the program itself does not read it.
";

/// The contracts that the prelude defines for a schema to ask for with `x-nickel`, and for sites to use.
pub(super) const NAMED: [(&str, &str); 5] = [
    ("AbsolutePath", "An absolute path: it begins with `/` and has no `..` in it, such as \"/etc/motd\"."),
    ("Mode", "The mode of a file: a string of three or four octal digits, such as \"0644\"."),
    ("ResourceId", "The name of a resource in full, `type:name`, such as \"service:nginx\"."),
    (
        "Text",
        "A string, or a secret in its place: `{ secret = \"name\" }` or `{ secret_template = \"… {{name}} …\" }`.",
    ),
    ("Duration", "A span of time: a whole number and its unit (s, m, h or d), such as \"30s\" or \"5m\"."),
];

/// What a site may know of its host: for editors, which have no host to ask.
const FACTS: &str = r#"  facts
    | {
      os | { id | String, version | String, codename | String } | doc "The operating system, from os-release(5): `debian`, `13`, `trixie`.",
      architecture | (nullable String) | doc "Debian's name of the architecture, such as `amd64`.",
      hostname | String | doc "The name of the host without a domain.",
      fqdn | String | doc "The name with its domain, where `/etc/hosts` has one; otherwise the name alone.",
      kernel | (nullable String) | doc "Release of the kernel; null in a root directory.",
      cpus | (nullable Number) | doc "Number of processors; null in a root directory.",
      memory_mib | (nullable Number) | doc "Memory in MiB; null in a root directory.",
      addresses | { ipv4 | Array String, ipv6 | Array String } | doc "Addresses of all interfaces but the loopback; none in a root directory.",
      virtualisation | (nullable String) | doc "`kvm`, `container`, … or `none`; null in a root directory.",
      init | (nullable String) | doc "The first process: `systemd`, or another name; null in a root directory.",
      is_root | (nullable Bool) | doc "Whether the program that asks runs as root; null in a root directory.",
    }
    | doc "What is known of the host; `provision facts` lists it. Give others to try a site with `--facts FILE` or `--set facts.cpus=8`."
    | optional,
"#;

const PRELUDE: &str = include_str!("prelude.ncl");

/// The text of `provision.ncl` for these types.
///
/// It evaluates to a record of the contract `Site`, the contracts of all resource types by name in `types`, and
/// contracts that are of use elsewhere, such as `AbsolutePath`. The same types give the same text, in any order.
pub fn contract_library(types: &[TypeDescription]) -> String {
    library(types, true)
}

/// The same; the contracts of tests are large, and only sites that have tests ask for them.
pub(super) fn library(types: &[TypeDescription], with_tests: bool) -> String {
    let mut types: Vec<&TypeDescription> = types.iter().collect();
    types.sort_by_key(|described| &described.name);
    let mut text = format!("{HEADER}{PRELUDE}");
    text.push_str("let resource_types = {\n");
    for described in &types {
        let contract = Writer::new(&described.schema).whole(2);
        let _ = write!(text, "  {}", field_name(&described.name));
        if !described.description.trim().is_empty() {
            let _ = write!(text, "\n    | doc {}", documentation(&described.description, 3));
        }
        let _ = writeln!(text, "\n    = {contract},");
    }
    text.push_str("} in\n{\n");
    text.push_str(
        "  Site
    | doc \"A whole site. Fields of your own belong into `let`, or are marked `not_exported`.\"
    = {
      provision_version
        | String
        | doc \"The versions of provision that the site is written for, such as \\\"^0.1\\\".\"
        | optional,
      name
        | String
        | doc \"The name of the site, that of its first file without the extension if this is not said. What is made on a host is made for the site of this name, and no other site removes it.\"
        | optional,
      on_failure
        | (one_of (match { 'continue or \"continue\" or 'stop or \"stop\" or 'rollback or \"rollback\" => true, _ => false }) \"'continue, 'stop, 'rollback\")
        | doc \"What happens when a resource fails that says nothing about it: what does not require it goes on (the default), nothing new is begun, or all that the run has done is undone.\"
        | optional,
      prune
        | Bool
        | doc \"Whether what provision made on the host, and the site no longer declares, is removed.\"
        | optional,
      journal
        | { runs | integer_between 1 null | optional, bytes | integer_between 1 null | optional }
        | doc \"How much of the past is kept: 100 runs in 1 GiB if this is not said. The newest run always is.\"
        | optional,
      resources
        | {\n",
    );
    for described in &types {
        let name = field_name(&described.name);
        let _ = writeln!(text, "            {name} | {{ _ | resource_types.{name} }} | optional,");
    }
    text.push_str(
        "          }
        | doc \"What the host should be like: `resources.<type>.<name>`.\"
        | optional,\n",
    );
    if with_tests {
        text.push_str(&tests());
    }
    text.push_str(
        "      ..
    },
  types | doc \"The contracts of the resource types.\" = resource_types,\n",
    );
    text.push_str(FACTS);
    text.push_str(&exports());
    text.push_str("}\n");
    text
}

/// The fields of a site that tell how it is tested.
fn tests() -> String {
    let [case, host] = [schema_for!(TestCase), schema_for!(StartingState)].map(|schema| schema.to_value());
    let (case, host) = (Writer::new(&case).whole(5), Writer::new(&host).whole(5));
    format!(
        "      tests
        | {{ _ | {case} }}
        | doc \"Tests by name, which `provision test` runs: a host, and how it should be once the site has converged on it.\"
        | optional,
      test_host
        | {host}
        | doc \"What simulated hosts begin with in all tests, beside their installation.\"
        | optional,\n"
    )
}

/// The same library with contracts of sites and types that accept anything.
///
/// Under it, a site that applies the contracts by itself can be evaluated regardless of what they would refuse.
pub(super) fn lenient_library(types: &[String]) -> String {
    let mut text = format!("{PRELUDE}{{\n  Site = Dyn,\n  facts = {FACTS_OF_HOST},\n  types = {{\n");
    for name in types {
        let _ = writeln!(text, "    {} = Dyn,", field_name(name));
    }
    text.push_str("  },\n");
    text.push_str(&exports());
    text.push_str("}\n");
    text
}

/// Hands the contracts of the prelude on. `Mode = Mode` would refer to itself, since records are recursive.
fn exports() -> String {
    NAMED.iter().map(|(name, doc)| format!("  include {name} | doc {},\n", string(doc))).collect()
}
