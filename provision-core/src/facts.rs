//! [`Facts`]: what a site may know of the host that it is for.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostView, HostViewExt, system};
use crate::located::Located;

pub use crate::host::system::{Os, native_architecture};

/// What a site may know of its host, as `facts` of the library `provision.ncl`.
///
/// In a root directory there is no kernel and no processor to ask. There, `kernel`, `cpus`, `memory_mib`, `virtualisation`, `init` and
/// `is_root` are null and `addresses` are empty; `os`, `architecture`, `hostname` and `fqdn` are read from its files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Facts {
    /// The operating system, from `os-release(5)`.
    pub os: Os,
    /// Debian's name of the architecture, such as `amd64`.
    pub architecture: Option<String>,
    /// Release of the kernel, such as `6.1.0-41-amd64`.
    pub kernel: Option<String>,
    /// The name of the host without a domain.
    pub hostname: String,
    /// The name with its domain, where `/etc/hosts` has one; otherwise the name alone.
    pub fqdn: String,
    /// Number of processors.
    pub cpus: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Addresses of all interfaces but the loopback, sorted.
    pub addresses: Addresses,
    /// The virtualisation that it runs in: `kvm`, `container`, … or `none`.
    pub virtualisation: Option<String>,
    /// The first process: `systemd`, or another name.
    pub init: Option<String>,
    /// Whether the program that asks runs as root.
    pub is_root: Option<bool>,
}

/// Addresses of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Addresses {
    /// IPv4, in dotted form.
    pub ipv4: Vec<String>,
    /// IPv6, in the form of RFC 5952, link-local ones left out.
    pub ipv6: Vec<String>,
}

impl Facts {
    /// Reads the facts of a host. What is not there is left out.
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn gather(host: &dyn HostView) -> Result<Facts> {
        let text = |path: &str| host.read_text(path).map(Option::unwrap_or_default);
        let line = |path: &str| text(path).map(|text| Some(text.trim().to_owned()).filter(|line| !line.is_empty()));
        let kernel_name = line("/proc/sys/kernel/hostname")?;
        let hostname = kernel_name.or(line("/etc/hostname")?).unwrap_or_else(|| "localhost".to_owned());
        let (hosts, cpuinfo) = (text("/etc/hosts")?, text("/proc/cpuinfo")?);
        Ok(Facts {
            os: system::os(host)?,
            architecture: host.architecture()?,
            kernel: line("/proc/sys/kernel/osrelease")?,
            fqdn: fqdn(&hosts, &hostname).unwrap_or_else(|| hostname.clone()),
            hostname: hostname.split('.').next().unwrap_or_default().to_owned(),
            cpus: cpus(&cpuinfo),
            memory_mib: memory(&text("/proc/meminfo")?),
            addresses: Addresses { ipv4: ipv4(&text("/proc/net/fib_trie")?), ipv6: ipv6(&text("/proc/net/if_inet6")?) },
            virtualisation: virtualisation(host, &cpuinfo),
            init: line("/proc/1/comm")?,
            is_root: effective_user(&text("/proc/self/status")?).map(|uid| uid == 0),
        })
    }
}

impl Facts {
    /// These facts, but for what a record of others says, such as `{ "memory_mib": 512, "os": { "version": "13" } }`.
    ///
    /// # Errors
    /// It says something that is no fact, or no value of one.
    pub fn with(&self, given: &serde_json::Value) -> Result<Facts> {
        let mut all = serde_json::to_value(self).map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        merge(&mut all, given);
        Facts::deserialize(&Located::from(all)).map_err(|unfit| {
            let (path, why) = unfit.into_parts();
            let what = if path.is_empty() { why } else { format!("`{}`: {why}", path.join(".")) };
            Error::new(ErrorKind::Invalid, what).with_hint("`provision facts` lists the facts of a host")
        })
    }
}

fn merge(into: &mut serde_json::Value, given: &serde_json::Value) {
    match (into, given) {
        (serde_json::Value::Object(into), serde_json::Value::Object(given)) => {
            for (name, given) in given {
                merge(into.entry(name.clone()).or_insert(serde_json::Value::Null), given);
            }
        }
        (into, given) => *into = given.clone(),
    }
}

fn fqdn(hosts: &str, hostname: &str) -> Option<String> {
    hosts.lines().find_map(|line| {
        let names: Vec<&str> = line.split('#').next()?.split_whitespace().skip(1).collect();
        let dotted = |name: &&&str| name.strip_prefix(hostname).is_some_and(|rest| rest.starts_with('.'));
        names.contains(&hostname).then(|| names.iter().find(dotted).map(|name| (**name).to_owned()))?
    })
}

fn cpus(cpuinfo: &str) -> Option<u32> {
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    u32::try_from(count).ok().filter(|count| *count > 0)
}

fn memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// The local addresses in the kernel's routing trie: each leaf `/32 host LOCAL` follows its address.
fn ipv4(fib_trie: &str) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    let mut last = "";
    for line in fib_trie.lines() {
        match line.trim().strip_prefix("|-- ") {
            Some(address) => last = address,
            None if line.trim() == "/32 host LOCAL" && !last.starts_with("127.") => {
                found.insert(last.to_owned());
            }
            None => {}
        }
    }
    found.into_iter().collect()
}

/// `/proc/net/if_inet6`: address, interface number, prefix length, scope, flags, name. Scope 0 is global.
fn ipv6(if_inet6: &str) -> Vec<String> {
    let mut found: Vec<String> = if_inet6
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let address = u128::from_str_radix(fields.first()?, 16).ok()?;
            (*fields.get(3)? == "00").then(|| std::net::Ipv6Addr::from(address).to_string())
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn virtualisation(host: &dyn HostView, cpuinfo: &str) -> Option<String> {
    if let Some(manager) = host.read_text("/run/systemd/container").ok().flatten() {
        return Some(manager.trim().to_owned()).filter(|name| !name.is_empty());
    }
    let vendor = host.read_text("/sys/class/dmi/id/sys_vendor").ok().flatten().unwrap_or_default();
    // As systemd-detect-virt(1) names them.
    let known = [
        ("QEMU", "kvm"),
        ("VMware", "vmware"),
        ("innotek", "oracle"),
        ("Xen", "xen"),
        ("Microsoft", "microsoft"),
        ("Amazon EC2", "amazon"),
    ];
    if let Some((_, name)) = known.iter().find(|(prefix, _)| vendor.starts_with(prefix)) {
        return Some((*name).to_owned());
    }
    if cpuinfo.is_empty() {
        return None;
    }
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let guest = flags.split_whitespace().any(|flag| flag == "hypervisor");
    Some(if guest { "vm-other" } else { "none" }.to_owned())
}

/// The second number of `Uid:` is the effective one, see `proc(5)`.
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimHost;

    /// The file has a line for each of them once there are several.
    #[test]
    fn a_foreign_architecture_is_no_part_of_the_hosts_own() {
        let host = SimHost::debian(12).with_file("/var/lib/dpkg/arch", "amd64\ni386\n");
        assert_eq!(Facts::gather(&host).unwrap().architecture.as_deref(), Some("amd64"));
    }

    #[test]
    fn given_facts_stand_over_those_of_a_host() {
        let facts = Facts::gather(&SimHost::debian(12)).unwrap();
        let other = facts.with(&serde_json::json!({ "memory_mib": 512, "os": { "version": "13" } })).unwrap();
        assert_eq!((other.memory_mib, &*other.os.version, &*other.os.id), (Some(512), "13", "debian"));
        assert_eq!(facts.with(&serde_json::to_value(&other).unwrap()).unwrap(), other);
        assert!(facts.with(&serde_json::json!({ "memory": 512 })).unwrap_err().to_string().contains("memory"));
        let error = facts.with(&serde_json::json!({ "cpus": "many" })).unwrap_err();
        assert!(error.to_string().contains("`cpus`"), "{error}");
    }

    #[test]
    fn the_facts_of_the_simulated_host() {
        let facts = Facts::gather(&SimHost::debian(12)).unwrap();
        insta::assert_json_snapshot!(facts, @r#"
        {
          "os": {
            "id": "debian",
            "version": "12",
            "codename": "bookworm"
          },
          "architecture": "amd64",
          "kernel": "6.1.0-41-amd64",
          "hostname": "simulated",
          "fqdn": "simulated.example.org",
          "cpus": 2,
          "memory_mib": 2048,
          "addresses": {
            "ipv4": [
              "192.0.2.10"
            ],
            "ipv6": []
          },
          "virtualisation": "kvm",
          "init": "systemd",
          "is_root": true
        }
        "#);
    }
}
