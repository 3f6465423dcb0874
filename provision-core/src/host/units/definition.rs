//! One unit: its file, what is dropped into it, and what enables it.

use crate::error::{ErrorKind, Result};
use crate::host::FileKind;
use crate::path::HostPath;

use super::{DIRECTORIES, UnitFiles, template_of};

/// A unit as its files declare it.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// The name that its file has: an alias stands for another.
    pub(crate) id: String,
    /// Its file; none if only others extend it.
    pub(crate) fragment: Option<Fragment>,
    /// Sections, keys and values, in order.
    settings: Vec<(String, String, String)>,
    /// Whether the service manager of this system is older than `UpheldBy=`.
    ignores_upheld_by: bool,
}

/// Where the file of a unit lies.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// The file that is found by its name; a link may stand there.
    pub(crate) path: HostPath,
    /// What is at its end.
    pub(crate) kind: FragmentKind,
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

impl Definition {
    /// Reads a unit. `None` if it has no file.
    pub(crate) fn load(host: &(impl UnitFiles + ?Sized), name: &str) -> Result<Option<Definition>> {
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

    pub(crate) fn add(&mut self, text: &str) {
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
    pub(crate) fn is_linked(&self) -> bool {
        self.fragment.as_ref().is_some_and(|fragment| fragment.kind == FragmentKind::Linked)
    }

    /// Whether it can only be unmasked.
    pub(crate) fn is_masked(&self) -> bool {
        self.fragment.as_ref().is_some_and(|fragment| fragment.kind == FragmentKind::Masked)
    }

    /// Sections, keys and values, in order.
    #[cfg(feature = "sim")]
    pub(crate) fn settings(&self) -> &[(String, String, String)] {
        &self.settings
    }

    /// All words of a list; an empty value begins it anew, see `systemd.syntax(7)`.
    pub(crate) fn words(&self, section: &str, key: &str) -> Vec<&str> {
        self.values(section, key).into_iter().flat_map(str::split_whitespace).collect()
    }

    /// All values of a setting that may be given several times.
    pub(crate) fn values(&self, section: &str, key: &str) -> Vec<&str> {
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
    pub(crate) fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.values(section, key).pop()
    }

    /// Whether a setting is on; see `systemd.syntax(7)`, on boolean arguments.
    pub(crate) fn is_on(&self, section: &str, key: &str) -> bool {
        matches!(self.value(section, key), Some("yes" | "true" | "on" | "1"))
    }

    /// Whether it can be enabled.
    pub(crate) fn can_be_enabled(&self) -> bool {
        ["WantedBy", "RequiredBy", "UpheldBy", "Alias"].iter().any(|key| !self.install(key).is_empty())
    }

    /// The units that a setting of its `[Install]` section names.
    pub(crate) fn install(&self, key: &str) -> Vec<&str> {
        if key == "UpheldBy" && self.ignores_upheld_by {
            return Vec::new();
        }
        self.words("Install", key)
    }

    /// What must hold for it to start: `Condition…=` and `Assert…=` of its `[Unit]` section.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let is_condition = |key: &str| key.starts_with("Condition") || key.starts_with("Assert");
        let of_unit = self.settings.iter().filter(|(section, key, _)| section == "Unit" && is_condition(key));
        let set = of_unit.filter(|(_, _, value)| !value.is_empty());
        set.map(|(_, key, value)| format!("{key}={value}")).collect()
    }

    /// Whether its settings make no unit: a timer that never elapses.
    pub(crate) fn is_bad(&self) -> bool {
        let elapses = |(section, key, _): &(String, String, String)| section == "Timer" && key.starts_with("On");
        self.id.ends_with(".timer") && !self.settings.is_empty() && !self.settings.iter().any(elapses)
    }

    /// Whether it ends by itself, with nothing left running.
    pub(crate) fn ends_by_itself(&self) -> bool {
        self.value("Service", "Type") == Some("oneshot") && !self.remains()
    }

    pub(crate) fn remains(&self) -> bool {
        self.is_on("Service", "RemainAfterExit")
    }

    /// Whether it can read its configuration anew.
    pub(crate) fn can_reload(&self) -> bool {
        !self.values("Service", "ExecReload").is_empty()
            || matches!(self.value("Service", "Type"), Some("notify-reload" | "dbus-reload"))
    }
}

/// The directories of what is dropped into a unit, the strongest first.
pub(crate) fn drop_in_directories(name: &str) -> Vec<HostPath> {
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
        assert_eq!(unit.words("Unit", "Wants"), ["a.service", "b.service", "c.service"]);
        assert_eq!(unit.values("Service", "ExecStart"), ["/bin/b    --long"]);
    }

    #[test]
    fn a_unit_that_something_wants_can_be_enabled() {
        assert!(!definition("[Service]\n").can_be_enabled());
        assert!(definition("[Install]\nWantedBy=multi-user.target\n").can_be_enabled());
    }
}
