//! The resource type `sysctl`.

use derive_setters::Setters;
use provision_core::effect::Effect;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, FragmentState, file_in, managed};
use provision_core::host::{FileKind, HostView, HostViewExt};
use provision_core::path::HostPath;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, Contradiction, Declared, PlanContext, Resource, ResourceId,
    Target,
};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ensure::Ensure;
use crate::links;
use crate::settings::Scalar;

/// Where the kernel's values are.
const PLACE: &str = "/proc/sys";

/// Where sysctl.d(5) has files from; one of an earlier directory masks those of the same name in later ones.
const DIRECTORIES: [&str; 4] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];

/// Values of which the kernel sets one to 0 when the other one is set; see `Documentation/admin-guide/sysctl/vm.rst`.
const EXCLUSIVE: [(&str, &str); 3] = [
    ("vm/dirty_bytes", "vm/dirty_ratio"),
    ("vm/dirty_background_bytes", "vm/dirty_background_ratio"),
    ("vm/overcommit_kbytes", "vm/overcommit_ratio"),
];

/// The first part of keys that a module brings, with that module.
const OF_MODULES: [(&str, &str); 3] = [
    ("net/bridge/", "br_netfilter"),
    ("net/netfilter/nf_conntrack", "nf_conntrack"),
    ("net/nf_conntrack", "nf_conntrack"),
];

/// A value of the kernel, now and after each boot: `/proc/sys`, and a file in `/etc/sysctl.d`; see sysctl.d(5).
///
/// The name is the key: `vm.swappiness`, or `net.ipv4.conf.eth0/100.rp_filter` for the interface `eth0.100`. In a root directory only the file is
/// written. A value that is taken away again stays until the next boot; a rollback puts the one before back.
///
/// Files of sysctl.d(5) are read in the order of their names, so one that sorts after this file wins at a boot. It is named by an error,
/// and a higher `order` sorts after it.
///
/// ```nickel
/// sysctl."vm.swappiness".value = 10,
/// sysctl."net.ipv4.tcp_rmem".value = "4096 87380 6291456",
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Sysctl {
    /// Whether it is set.
    pub ensure: Ensure,
    /// The value: a number, `true` or `false` for 1 and 0, or a text. Required if it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
    /// Whether the kernel gets it now. Otherwise it is written down for the next boot, as where a container may not write to
    /// `/proc/sys`.
    pub apply: bool,
    /// Whether a key that the kernel does not have is only written down. Keys of network interfaces are set when these come.
    pub ignore_missing: bool,
    /// The number that the name of the file begins with, up to 99.
    pub order: u8,
}

impl Default for Sysctl {
    fn default() -> Sysctl {
        Sysctl { ensure: Ensure::Present, value: None, apply: true, ignore_missing: false, order: 60 }
    }
}

/// How a value was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SysctlState {
    /// The file that sets it at a boot.
    file: FragmentState,
    /// What the kernel has; `None` where that does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// The file of a key.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Line {
    /// The name of the file.
    name: String,
    /// The key and its value.
    set: Option<(String, String)>,
}

impl Fragment for Line {
    const TYPE: &'static str = Sysctl::TYPE;
    const READERS: &'static [&'static str] = &["systemd", "procps"];

    fn is_present(&self) -> bool {
        self.set.is_some()
    }

    fn place(&self, _: &ResourceId) -> Result<HostPath> {
        file_in(DIRECTORIES[0], &self.name)
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let line = self.set.as_ref().map(|(key, value)| format!("{key} = {value}\n")).unwrap_or_default();
        Ok((managed("#", id) + &line).into())
    }

    fn means(&self, text: &str) -> Option<Value> {
        Some(json!(assignments(text).map(|(key, value)| (key, value.map(in_words))).collect::<Vec<_>>()))
    }
}

impl Sysctl {
    /// A value of the kernel.
    pub fn new(value: impl Into<Scalar>) -> Sysctl {
        Sysctl { value: Some(value.into()), ..Sysctl::default() }
    }

    fn wanted(&self) -> String {
        match &self.value {
            Some(Scalar::Flag(flag)) => u8::from(*flag).to_string(),
            Some(Scalar::Number(number)) => number.to_string(),
            Some(Scalar::Text(text)) => text.trim().to_owned(),
            None => String::new(),
        }
    }

    fn line(&self, id: &ResourceId) -> Line {
        let key = key_of(id.name());
        // A name of an interface holds no `:`, and a file name no `/`.
        let name = format!("{:02}-provision-{}.conf", self.order, key.replace('.', ":").replace('/', "."));
        Line { name, set: (self.ensure == Ensure::Present).then(|| (id.name().to_owned(), self.wanted())) }
    }

    fn path(id: &ResourceId) -> Result<HostPath> {
        HostPath::new(PLACE)?.join(&key_of(id.name()))
    }

    /// What the kernel has; `None` where that does not matter, or cannot be known before a module is loaded.
    fn kernel_value(&self, id: &ResourceId, host: &dyn HostView) -> Result<Option<String>> {
        let path = Sysctl::path(id)?;
        if self.ensure == Ensure::Absent || !self.apply || !host.is_running() {
            return Ok(None);
        }
        match host.metadata(&path)? {
            None if self.ignore_missing => Ok(None),
            None => Err(missing(&path)),
            Some(found) if found.kind != FileKind::File => {
                let message = format!("{} stands for {}, not for one value", id.name(), found.kind.noun());
                Err(Error::new(ErrorKind::Invalid, message).with_hint("name one key"))
            }
            Some(found) if found.access.mode.bits() & 0o444 == 0 => {
                let message = format!("{path} can be written and not read, so it has no state");
                Err(Error::new(ErrorKind::Unsupported, message).with_hint("run a command by a `trigger` instead"))
            }
            Some(_) => Ok(host.read_text(path.as_str())?.map(|text| in_words(&text))),
        }
    }

    /// Fails if another file sets the key after this one.
    fn require_last_word(&self, id: &ResourceId, host: &dyn HostView) -> Result<()> {
        let Line { name: own, set: Some((key, wanted)) } = self.line(id) else { return Ok(()) };
        let key = key_of(&key);
        let mut seen: Vec<String> = Vec::new();
        let mut last: Option<(String, HostPath, String)> = None;
        for directory in DIRECTORIES {
            let directory = HostPath::new(directory)?;
            for name in host.list(&directory)?.unwrap_or_default() {
                let is_later = name.ends_with(".conf") && name.as_str() > own.as_str();
                if !is_later || seen.contains(&name) {
                    continue;
                }
                let path = directory.join(&name)?;
                let set = text_behind(host, &path)?.and_then(|text| {
                    let of_key = assignments(&text).filter(|(other, _)| *other == key);
                    // Without a value the key is left as it is.
                    of_key.last().map(|(_, value)| value.map_or_else(|| "as the kernel has it".to_owned(), in_words))
                });
                if let Some(value) = set.filter(|_| last.as_ref().is_none_or(|(later, ..)| *later < name)) {
                    last = Some((name.clone(), path, value));
                }
                seen.push(name);
            }
        }
        match last {
            Some((name, path, value)) if value != in_words(&wanted) => {
                let message = format!("{path} is read after {own}, so the value would be {value:?} after a boot");
                let help =
                    format!("`order = 99` if {name} sorts before 99-provision; otherwise take the line out of it");
                Err(Error::new(ErrorKind::Conflict, message).with_hint(help))
            }
            _ => Ok(()),
        }
    }
}

impl Resource for Sysctl {
    const TYPE: &'static str = "sysctl";
    type State = SysctlState;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Vec::new();
        let is_part = |part: &str| !part.is_empty() && part != "..";
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@-".contains(&byte);
        let key = key_of(id.name());
        if !id.name().bytes().all(is_letter) || !key.split('/').all(is_part) || !key.contains('/') {
            let mistake = AttributeError::new("", format!("{:?} is no key of the kernel", id.name()));
            mistakes
                .push(mistake.help("such as \"vm.swappiness\", or \"net.ipv4.conf.eth0/100.rp_filter\" for eth0.100"));
        }
        if self.order > 99 {
            mistakes.push(
                AttributeError::new("order", format!("{} has more than two digits", self.order)).help("up to 99"),
            );
        }
        let wanted = self.wanted();
        let mut refuse = |message: String, help: &str| mistakes.push(AttributeError::new("value", message).help(help));
        let is_octal =
            |word: &str| word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit());
        match &self.value {
            _ if self.ensure == Ensure::Absent => {}
            None => refuse("a key needs a `value`".into(), "such as value = 1"),
            Some(_) if wanted.contains(|letter: char| letter.is_control() && letter != '\t') => {
                refuse("a value is one line".into(), "take the line break, or what else is not shown, out");
            }
            Some(_) if wanted.starts_with(['"', '\'']) && wanted.len() > 1 && wanted.ends_with(&wanted[..1]) => {
                refuse(format!("the kernel would get the quotes of {wanted} as well"), "write it without them");
            }
            Some(_) if wanted.contains(" #") => {
                refuse(format!("{wanted:?} has no comment: all of it is the value"), "take the comment out");
            }
            Some(_) if wanted.split_whitespace().any(is_octal) => {
                refuse(format!("the kernel reads {wanted:?} as an octal number"), "write it without leading zeros");
            }
            Some(_) => {}
        }
        mistakes
    }

    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let key = key_of(id.name());
        let rivals = EXCLUSIVE.iter().filter(|(one, _)| *one == key).map(|(_, other)| *other);
        let others =
            rivals.flat_map(|rival| site.all::<Sysctl>().filter(move |(other, _)| key_of(other.name()) == rival));
        others
            .filter(|(_, other)| self.ensure == Ensure::Present && other.ensure == Ensure::Present)
            .map(|(other, _)| Contradiction {
                path: Vec::new(),
                other: other.clone(),
                other_path: Vec::new(),
                message: "the kernel sets each of these to 0 when the other one is set".to_owned(),
                help: "declare one of them".to_owned(),
            })
            .collect()
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let mut claims = Resource::claims(&self.line(id), id);
        claims.extend(Sysctl::path(id).map(Target::Path).map(Claim::owns));
        claims
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<SysctlState> {
        self.require_last_word(cx.id(), cx.host())?;
        Ok(SysctlState { file: self.line(cx.id()).check(cx)?, value: self.kernel_value(cx.id(), cx.host())? })
    }

    fn plan(&self, cx: &PlanContext<'_>, now: &SysctlState) -> Result<SysctlState> {
        let file = self.line(cx.id()).plan(cx, &now.file)?;
        Ok(SysctlState { file, value: now.value.as_ref().map(|_| in_words(&self.wanted())) })
    }

    /// The kernel comes first: what it refuses is not written down.
    fn apply(&self, cx: &ApplyContext<'_>, now: &SysctlState, want: &SysctlState) -> Result<()> {
        if now.value != want.value {
            let set = Effect::SetKernel { path: Sysctl::path(cx.id())?, value: self.wanted() };
            let set = cx.host().perform(&set);
            set.map_err(|error| match error.kind() {
                ErrorKind::ReadOnly | ErrorKind::PermissionDenied => {
                    error.with_hint("`apply = false` writes it down for the next boot")
                }
                _ => error,
            })?;
        }
        if now.file == want.file { Ok(()) } else { self.line(cx.id()).apply(cx, &now.file, &want.file) }
    }
}

/// A key with `/` between its parts; see sysctl.d(5). If the first separator is a dot, dots and slashes change places.
fn key_of(name: &str) -> String {
    let swapped = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match name.find(['.', '/']) {
        Some(first) if name[first..].starts_with('.') => name.chars().map(swapped).collect(),
        _ => name.to_owned(),
    }
}

/// A value with one blank where the kernel has tabs.
fn in_words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The keys, with `/` between their parts, and values of a file; none for a key that is only to be left alone. See sysctl.d(5), and
/// `read_line()` of systemd for the ends of lines.
fn assignments(text: &str) -> impl Iterator<Item = (String, Option<&str>)> {
    let lines = text.split(['\n', '\r', '\0']).map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines.map(|line| {
        let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value.trim())));
        (key_of(key.trim().trim_start_matches('-')), value)
    })
}

/// The text of a file, or of what a link leads to: Debian 12 has `/etc/sysctl.conf` behind one. A link to a device masks.
fn text_behind(host: &dyn HostView, path: &HostPath) -> Result<Option<String>> {
    let path = links::real_path(path, host)?;
    match host.metadata(&path)?.map(|found| found.kind) {
        Some(FileKind::File) => host.read_text(path.as_str()),
        _ => Ok(None),
    }
}

fn missing(path: &HostPath) -> Error {
    let key = path.as_str().trim_start_matches(PLACE).trim_start_matches('/');
    let module = OF_MODULES.iter().find(|(part, _)| key.starts_with(part)).map(|(_, module)| module);
    let error = Error::new(ErrorKind::NotFound, format!("the kernel has no {path}"));
    match module {
        Some(module) => error.with_hint(format!("the module {module} brings it: load it before, and at each boot")),
        None => error.with_hint("correct the key, or set `ignore_missing` if it comes later"),
    }
}

#[cfg(test)]
mod tests;
