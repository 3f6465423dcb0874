//! One unit: its file, what is dropped into it, and what enables it.

use crate::error::{ErrorKind, Result};
use crate::host::FileKind;
use crate::path::HostPath;

use super::{DIRECTORIES, UnitFiles, template_of};

/// A unit as its files declare it.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// The name that its file has: an alias stands for another.
    pub(in crate::host) id: String,
    /// Its file; none if only others extend it.
    pub(in crate::host) fragment: Option<Fragment>,
    /// Sections, keys and values, in order.
    settings: Vec<(String, String, String)>,
    /// Whether the service manager of this system is older than `UpheldBy=`.
    ignores_upheld_by: bool,
}

/// Where the file of a unit lies.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// The file that is found by its name; a link may stand there.
    pub(in crate::host) path: HostPath,
    /// What is at its end.
    pub(in crate::host) kind: FragmentKind,
}

/// What stands where the file of a unit is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentKind {
    /// The file itself.
    Own,
    /// A link to a file that lies elsewhere, with the same name.
    Linked,
    /// A link to `/dev/null`, or an empty file.
    Masked,
}

/// How a unit pulls another in when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum Dependency {
    /// It cannot run without it.
    Requires,
    /// It would like it to run.
    Wants,
    /// They cannot run together.
    Conflicts,
    /// It does not start unless the other runs already.
    Requisite,
    /// It goes when the other goes; see `systemd.unit(5)`, "Mapping of unit properties to their inverses".
    GoesWith,
    /// It is started whenever the other has stopped.
    Upholds,
    /// It comes after it has failed.
    OnFailure,
    /// It comes after it has ended well.
    OnSuccess,
}

impl Dependency {
    /// The directories whose links say the same as the files of a unit: `requires` for `app.service.requires`.
    pub(in crate::host) fn links(self) -> &'static [&'static str] {
        match self {
            Dependency::Requires | Dependency::GoesWith => &["requires"],
            Dependency::Wants => &["wants", "upholds"],
            Dependency::Upholds => &["upholds"],
            Dependency::Conflicts | Dependency::Requisite | Dependency::OnFailure | Dependency::OnSuccess => &[],
        }
    }
}

impl Definition {
    /// Reads a unit. `None` if it has no file.
    pub(in crate::host) fn load(host: &(impl UnitFiles + ?Sized), name: &str) -> Result<Option<Definition>> {
        Definition::load_as(host, name, 0)
    }

    fn load_as(host: &(impl UnitFiles + ?Sized), name: &str, aliases: u32) -> Result<Option<Definition>> {
        for candidate in [Some(name.to_owned()), template_of(name)].into_iter().flatten() {
            for directory in DIRECTORIES {
                let path = HostPath::new(&format!("{directory}/{candidate}"))?;
                let Some(found) = at(host, &path)? else { continue };
                let mut definition = Definition { id: name.to_owned(), ..Definition::default() };
                match found {
                    Found::Text(text, kind) => {
                        definition.fragment = Some(Fragment { path, kind });
                        definition.add(&text);
                    }
                    Found::Alias(target) if aliases < 8 => {
                        let target = with_instance(&target, name);
                        return Definition::load_as(host, &target, aliases + 1);
                    }
                    Found::Alias(_) => return Ok(None),
                }
                definition.add_drop_ins(host, name)?;
                definition.ignores_upheld_by =
                    !definition.values("Install", "UpheldBy").is_empty() && is_older_than_upheld_by(host)?;
                return Ok(Some(definition));
            }
        }
        Ok(None)
    }

    fn add(&mut self, text: &str) {
        let mut section = String::new();
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) {
                self.settings.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }

    /// Files that extend the unit: by name, and the stronger directory wins among those of one name.
    fn add_drop_ins(&mut self, host: &(impl UnitFiles + ?Sized), name: &str) -> Result<()> {
        let mut files: std::collections::BTreeMap<String, HostPath> = std::collections::BTreeMap::new();
        for directory in drop_in_directories(name) {
            for file in host.names(&directory).ok().flatten().unwrap_or_default() {
                if file.ends_with(".conf") {
                    files.entry(file.clone()).or_insert(directory.join(&file)?);
                }
            }
        }
        for path in files.values() {
            if let Some(content) = host.content(path).ok().flatten() {
                self.add(&String::from_utf8_lossy(content.bytes()));
            }
        }
        Ok(())
    }

    /// Whether its file lies elsewhere, and only a link to it where files of units are looked for.
    pub(in crate::host) fn is_linked(&self) -> bool {
        self.fragment.as_ref().is_some_and(|fragment| fragment.kind == FragmentKind::Linked)
    }

    /// Whether it can only be unmasked.
    pub(in crate::host) fn is_masked(&self) -> bool {
        self.fragment.as_ref().is_some_and(|fragment| fragment.kind == FragmentKind::Masked)
    }

    /// All words of a list; an empty value begins it anew, see `systemd.syntax(7)`.
    pub(in crate::host) fn words(&self, section: &str, key: &str) -> Vec<&str> {
        self.values(section, key).into_iter().flat_map(str::split_whitespace).collect()
    }

    /// All values of a setting that may be given several times.
    pub(in crate::host) fn values(&self, section: &str, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (_, _, value) in self.settings.iter().filter(|(s, k, _)| s == section && k == key) {
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value.as_str());
            }
        }
        values
    }

    /// The value of a setting: the last one.
    pub(in crate::host) fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.values(section, key).pop()
    }

    /// Whether a setting is on; see `systemd.syntax(7)`, on boolean arguments.
    pub(in crate::host) fn is_on(&self, section: &str, key: &str) -> bool {
        matches!(self.value(section, key), Some("yes" | "true" | "on" | "1"))
    }

    /// Whether it can be enabled.
    pub(in crate::host) fn can_be_enabled(&self) -> bool {
        ["WantedBy", "RequiredBy", "UpheldBy", "Alias"].iter().any(|key| !self.install(key).is_empty())
    }

    /// The units that a setting of its `[Install]` section names.
    pub(in crate::host) fn install(&self, key: &str) -> Vec<&str> {
        if key == "UpheldBy" && self.ignores_upheld_by {
            return Vec::new();
        }
        self.words("Install", key)
    }

    /// The units that it pulls in, or cannot run with.
    pub(in crate::host) fn dependencies(&self, kind: Dependency) -> Vec<&str> {
        let keys: &[&str] = match kind {
            Dependency::Requires => &["Requires", "BindsTo"],
            Dependency::Wants => &["Wants", "Upholds"],
            Dependency::Conflicts => &["Conflicts"],
            Dependency::Requisite => &["Requisite"],
            Dependency::GoesWith => &["Requires", "BindsTo", "Requisite", "PartOf"],
            Dependency::Upholds => &["Upholds"],
            Dependency::OnFailure => &["OnFailure"],
            Dependency::OnSuccess => &["OnSuccess"],
        };
        keys.iter().flat_map(|key| self.words("Unit", key)).collect()
    }

    /// What must hold for it to start: `Condition…=` and `Assert…=` of its `[Unit]` section.
    pub(super) fn conditions(&self) -> Vec<String> {
        let is_condition = |key: &str| key.starts_with("Condition") || key.starts_with("Assert");
        let of_unit = self.settings.iter().filter(|(section, key, _)| section == "Unit" && is_condition(key));
        let set = of_unit.filter(|(_, _, value)| !value.is_empty());
        set.map(|(_, key, value)| format!("{key}={value}")).collect()
    }

    /// All units that it names in its `[Unit]` section.
    pub(super) fn all_named(&self) -> impl Iterator<Item = &str> {
        let of_unit = self.settings.iter().filter(|(section, ..)| section == "Unit");
        of_unit.flat_map(|(_, _, value)| value.split_whitespace()).filter(|word| super::is_unit(word))
    }

    /// The unit that a socket, a timer or a path starts; see `systemd.socket(5)`, `systemd.timer(5)`, `systemd.path(5)`.
    pub(in crate::host) fn triggers(&self) -> Option<String> {
        let (stem, suffix) = self.id.rsplit_once('.')?;
        let (section, key) = match suffix {
            "socket" if self.accepts() => return Some(format!("{stem}@.service")),
            "socket" => ("Socket", "Service"),
            "timer" => ("Timer", "Unit"),
            "path" => ("Path", "Unit"),
            _ => return None,
        };
        Some(self.value(section, key).map_or_else(|| format!("{stem}.service"), str::to_owned))
    }

    /// Whether a socket starts a service of its own for every connection.
    pub(in crate::host) fn accepts(&self) -> bool {
        self.is_on("Socket", "Accept")
    }

    /// Whether starting it is done before anybody knows that its program runs; see `systemd.service(5)`, `Type=`.
    pub(in crate::host) fn starts_blindly(&self) -> bool {
        self.id.ends_with(".service") && matches!(self.value("Service", "Type"), None | Some("simple" | "idle"))
    }

    /// Whether its settings make no unit: a timer that never elapses.
    pub(in crate::host) fn is_bad(&self) -> bool {
        let elapses = |(section, key, _): &(String, String, String)| section == "Timer" && key.starts_with("On");
        self.id.ends_with(".timer") && !self.settings.is_empty() && !self.settings.iter().any(elapses)
    }

    /// Whether it ends by itself, with nothing left running.
    pub(in crate::host) fn ends_by_itself(&self) -> bool {
        self.value("Service", "Type") == Some("oneshot") && !self.remains()
    }

    fn remains(&self) -> bool {
        self.is_on("Service", "RemainAfterExit")
    }

    /// Whether it can read its configuration anew.
    pub(in crate::host) fn can_reload(&self) -> bool {
        !self.values("Service", "ExecReload").is_empty()
            || matches!(self.value("Service", "Type"), Some("notify-reload" | "dbus-reload"))
    }

    /// `ActiveState` and `SubState` once it has started.
    pub(in crate::host) fn started(&self) -> (&'static str, &'static str) {
        match self.id.rsplit('.').next() {
            Some("socket") => ("active", "listening"),
            Some("timer" | "path") => ("active", "waiting"),
            Some("target" | "slice") => ("active", "active"),
            Some("mount") => ("active", "mounted"),
            Some("automount") => ("active", "waiting"),
            Some("swap") => ("active", "active"),
            _ if self.ends_by_itself() => ("inactive", "dead"),
            _ if self.remains() && self.value("Service", "Type") == Some("oneshot") => ("active", "exited"),
            _ => ("active", "running"),
        }
    }
}

/// The directories of what is dropped into a unit, the strongest first.
pub(in crate::host) fn drop_in_directories(name: &str) -> Vec<HostPath> {
    let names = [Some(name.to_owned()), template_of(name)];
    let of = |directory: &&str| {
        let paths = names.iter().flatten().map(|name| HostPath::new(&format!("{directory}/{name}.d")));
        paths.filter_map(Result::ok).collect::<Vec<_>>()
    };
    DIRECTORIES.iter().flat_map(of).collect()
}

enum Found {
    Text(String, FragmentKind),
    Alias(String),
}

/// What stands at the path of a unit file.
fn at(host: &(impl UnitFiles + ?Sized), path: &HostPath) -> Result<Option<Found>> {
    let Some(kind) = host.kind(path)? else { return Ok(None) };
    match kind {
        FileKind::File => {
            let text = match host.content(path) {
                Ok(content) => content,
                // It is there; what it says is not recorded.
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Some(unread())),
                Err(error) => return Err(error),
            };
            let text = text.map(|content| String::from_utf8_lossy(content.bytes()).into_owned()).unwrap_or_default();
            let kind = if text.is_empty() { FragmentKind::Masked } else { FragmentKind::Own };
            Ok(Some(Found::Text(text, kind)))
        }
        FileKind::Symlink => {
            let target = host.target(path)?.unwrap_or_default();
            if target == "/dev/null" {
                return Ok(Some(Found::Text(String::new(), FragmentKind::Masked)));
            }
            let name = target.rsplit('/').next().unwrap_or_default();
            if name != path.name() {
                return Ok(Some(Found::Alias(name.to_owned())));
            }
            let target = path.parent().map_or(Ok(None), |parent| parent.linked(&target).map(Some))?;
            Ok(target.map(|target| at(host, &target)).transpose()?.flatten().map(|found| match found {
                Found::Text(text, FragmentKind::Own) => Found::Text(text, FragmentKind::Linked),
                other => other,
            }))
        }
        _ => Ok(None),
    }
}

/// Whether this is Debian 12 or older: `UpheldBy=` came with systemd 254, see `systemd.unit(5)`.
fn is_older_than_upheld_by(host: &(impl UnitFiles + ?Sized)) -> Result<bool> {
    let release = host.content(&HostPath::new("/usr/lib/os-release")?)?;
    let text = release.as_ref().and_then(|content| content.text()).unwrap_or_default();
    let version = text.lines().find_map(|line| line.strip_prefix("VERSION_ID="));
    Ok(version.and_then(|version| version.trim_matches('"').parse::<u32>().ok()).is_some_and(|version| version <= 12))
}

fn unread() -> Found {
    Found::Text("# not recorded\n".to_owned(), FragmentKind::Own)
}

/// An alias of a template stands for the same instance of the other.
fn with_instance(target: &str, name: &str) -> String {
    let instance = name.split_once('@').and_then(|(_, rest)| rest.rsplit_once('.')).map(|(instance, _)| instance);
    match (target.split_once("@."), instance) {
        (Some((stem, suffix)), Some(instance)) => format!("{stem}@{instance}.{suffix}"),
        _ => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(text: &str) -> Definition {
        let mut definition = Definition { id: "a.service".into(), ..Definition::default() };
        definition.add(text);
        definition
    }

    #[test]
    fn lists_join_and_an_empty_value_begins_anew() {
        let unit = definition(
            "[Unit]\nWants=a.service b.service\nWants=c.service\n[Service]\nExecStart=/bin/a\nExecStart=\n\
             ExecStart=/bin/b \\\n  --long\n# ExecStart=/bin/c\n",
        );
        assert_eq!(unit.dependencies(Dependency::Wants), ["a.service", "b.service", "c.service"]);
        assert_eq!(unit.values("Service", "ExecStart"), ["/bin/b    --long"]);
    }

    #[test]
    fn what_a_unit_becomes_depends_on_its_type() {
        assert_eq!(definition("[Service]\nType=oneshot\n").started(), ("inactive", "dead"));
        assert_eq!(definition("[Service]\nType=oneshot\nRemainAfterExit=yes\n").started(), ("active", "exited"));
        assert_eq!(definition("[Service]\nType=notify\n").started(), ("active", "running"));
        assert!(!definition("[Service]\n").can_be_enabled());
        assert!(definition("[Install]\nWantedBy=multi-user.target\n").can_be_enabled());
    }
}
