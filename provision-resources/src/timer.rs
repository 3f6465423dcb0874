//! The resource type `timer`.

mod calendar;

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::duration::Duration;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::host::HostView;
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, Companion, Contradiction, Declared, ResourceId, Stage, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::command_line::CommandLine;
use crate::ensure::Ensure;
use crate::unit_file::{self, Sections, Setting};
use crate::{Service, Unit};

/// A timer of systemd, `/etc/systemd/system/NAME.timer`, and with `command` the service that it starts; see systemd.timer(5).
///
/// It is started and enabled, by a `service."NAME.timer"` that comes along and that a site may declare otherwise. The service of
/// `command` is `unit."NAME.service"`; for more than a command and a user leave `command` out and declare that unit, without `[Install]`.
/// A command runs without a shell, and is escaped. `ensure = 'absent` removes that service only if `command` is still there.
///
/// Events are at most `accuracy` late (a minute by default), so that several share one wake-up. They are in local time, where an hour
/// is skipped or repeated when clocks change, unless the event ends with `UTC` or a time zone. Unlike cron, a day of the week and a
/// date have to fit both. If an event lies between the last run and a change of the timer, the change may start the service at once;
/// so may a `persistent` timer of a name that another one has had.
///
/// ```nickel
/// timer.backup = { calendar = "Mon..Fri 03:30", persistent = true, command = "/usr/local/bin/backup --all", user = "backup" },
/// timer.warm = { every = "15m", command = ["sh", "-c", "cat /srv/*.html > /dev/null"] },
/// timer.refresh = { calendar = "daily", random_delay = "1h", unit = "app-refresh.service" },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Timer {
    /// Whether the timer is there.
    pub ensure: Ensure,
    /// When it elapses: a calendar event of systemd.time(7), or an array of some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Events>,
    /// How long after the last start of the service it elapses; the first time is so long after the boot, unless `after_boot` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// How long after the boot it elapses; at once if that is over when the timer starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_boot: Option<Duration>,
    /// Whether an event of `calendar` that was missed is made up for.
    pub persistent: bool,
    /// A delay up to which each event is put off at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_delay: Option<Duration>,
    /// How late an event may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Duration>,
    /// The unit that it starts; `NAME.service` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the service runs, in place of a `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandLine>,
    /// The user that runs `command`; root by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// When a timer elapses: one calendar event, or any of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a calendar is a text, or an array of texts")]
pub enum Events {
    /// One.
    One(String),
    /// Any of these.
    Several(Vec<String>),
}

impl From<&str> for Events {
    fn from(text: &str) -> Events {
        Events::One(text.to_owned())
    }
}

impl Timer {
    fn events(&self) -> &[String] {
        match &self.calendar {
            None => &[],
            Some(Events::One(event)) => std::slice::from_ref(event),
            Some(Events::Several(events)) => events,
        }
    }

    /// The unit that it starts.
    fn started(&self, id: &ResourceId) -> String {
        self.unit.clone().unwrap_or_else(|| format!("{}.service", id.name()))
    }

    fn sections(&self) -> Sections {
        let span = |span: &Option<Duration>| span.as_ref().map(|span| Setting::from(span.to_string().as_str()));
        let events = self.events().iter().map(|event| unit_file::Value::Text(event.clone())).collect::<Vec<_>>();
        let settings = [
            ("OnCalendar", (!events.is_empty()).then_some(Setting::Several(events))),
            ("OnBootSec", span(&self.after_boot).or_else(|| span(&self.every))),
            ("OnUnitActiveSec", span(&self.every)),
            ("Persistent", self.persistent.then(|| "yes".into())),
            ("RandomizedDelaySec", span(&self.random_delay)),
            ("AccuracySec", span(&self.accuracy)),
            ("Unit", self.unit.as_deref().map(Setting::from)),
        ];
        let install = [("WantedBy", Some("timers.target".into()))];
        [section("Timer", settings), section("Install", install)].into()
    }

    /// The service of its command.
    fn service(&self) -> Option<Unit> {
        let words = self.command.as_ref()?.words("command").ok()?;
        let (program, arguments) = words.split_first()?;
        // systemd expands no variable in the name of a program; see systemd.service(5).
        let arguments = arguments.iter().map(|argument| quoted(&argument.replace('$', "$$")));
        let line: Vec<String> = std::iter::once(quoted(program)).chain(arguments).collect();
        let settings = [
            ("Type", Some("oneshot".into())),
            ("ExecStart", Some(line.join(" ").as_str().into())),
            ("User", self.user.as_deref().map(Setting::from)),
        ];
        Some(Unit { ensure: self.ensure, settings: [section("Service", settings)].into(), ..Unit::default() })
    }

    fn mistake_in_command(&self, id: &ResourceId) -> Option<AttributeError> {
        let words = match self.command.as_ref()?.words("command") {
            Ok(words) => words,
            Err(mistake) => return Some(mistake),
        };
        // It is no prefix either; see systemd.service(5).
        let is_name = |name: &str| {
            !name.contains('/') && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        };
        if !words[0].starts_with('/') && !is_name(&words[0]) {
            let message = format!("{:?} is neither an absolute path nor the name of a program", words[0]);
            return Some(AttributeError::new("command", message).help("write its absolute path"));
        }
        if self.unit.is_some() {
            let message = format!("a command makes a service {}.service of its own", id.name());
            return Some(AttributeError::new("unit", message).help("leave one of them out"));
        }
        let service = self.service()?;
        let read = unit_file::assignments(&service.settings);
        let (_, key, message, help) = unit_file::mistakes("service", &read, false).into_iter().next()?;
        Some(AttributeError::new(if key == Some("User") { "user" } else { "command" }, message).help(help))
    }
}

fn section<const N: usize>(name: &str, settings: [(&str, Option<Setting>); N]) -> (String, BTreeMap<String, Setting>) {
    let settings = settings.into_iter().filter_map(|(key, setting)| Some((key.to_owned(), setting?)));
    (name.to_owned(), settings.collect())
}

/// A word of a command line as systemd.syntax(7) and systemd.unit(5) have it.
fn quoted(word: &str) -> String {
    let escaped = |c: char| match c {
        '\\' | '"' => format!("\\{c}"),
        '%' => "%%".to_owned(),
        c if c.is_ascii_control() => format!("\\x{:02x}", c as u32),
        c => c.to_string(),
    };
    format!("\"{}\"", word.chars().map(escaped).collect::<String>())
}

impl Fragment for Timer {
    const TYPE: &'static str = "timer";
    const STAGE: Stage = Stage::Units;
    const READERS: &'static [&'static str] = &["systemd"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in(unit_file::DIRECTORY, &format!("{}.timer", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        Ok((managed("#", id) + &unit_file::render(&self.sections())).into())
    }

    fn means(&self, text: &str) -> Option<Value> {
        unit_file::parse(text).map(|read| json!(read))
    }

    fn also_claims(&self, id: &ResourceId) -> Vec<Claim> {
        // A timer that goes does so before what it starts.
        let claim = if self.is_present() { Claim::needs } else { Claim::precedes };
        unit_file::file_of(&self.started(id)).map(|file| claim(Target::Path(file))).into_iter().collect()
    }

    fn companions(declared: &[(&ResourceId, &Timer)]) -> Vec<Companion> {
        let mut companions = Vec::new();
        for (id, timer) in declared {
            companions.extend(timer.service().map(|service| Companion::new(&timer.started(id), service)));
            if timer.is_present() {
                companions.push(Companion::new(&format!("{}.timer", id.name()), Service::default()));
            }
        }
        companions
    }

    /// A unit that the site declares comes in the place of the companion, and its command would be another one.
    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let (name, service) = (self.started(id), self.service().filter(|_| self.is_present()));
        let declared = service.as_ref().zip(site.get::<Unit>(&name));
        let other = declared.filter(|(service, unit)| unit.content.is_some() || unit.settings != service.settings);
        let contradiction = other.map(|_| Contradiction {
            path: vec!["command".to_owned()],
            other: ResourceId::new(Unit::TYPE, name.as_str()),
            other_path: Vec::new(),
            message: format!("the command of the timer is not that of {name}, which is declared as well"),
            help: "leave `command` out, so that the timer starts that unit".to_owned(),
        });
        contradiction.into_iter().collect()
    }

    fn require(&self, id: &ResourceId, host: &dyn HostView) -> Result<()> {
        for zone in self.events().iter().filter_map(|event| calendar::parse(event)?.zone) {
            if host.metadata(&HostPath::new(&format!("/usr/share/zoneinfo/{zone}"))?)?.is_none() {
                let message = format!("systemd would not load the timer: there is no time zone {zone}");
                let help = "correct its name; old names are in the package tzdata-legacy on Debian 13";
                return Err(Error::new(ErrorKind::NotFound, message).with_hint(help));
            }
        }
        match self.command {
            Some(_) => Ok(()),
            None => unit_file::existing(&self.started(id), "the timer", host).map(|_| ()),
        }
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Vec::new();
        let mut refuse = |attribute: &str, message: String, help: &str| {
            mistakes.push(AttributeError::new(attribute, message).help(help));
        };
        let name = format!("{}.timer", id.name());
        if unit_file::parts_of(id.name()).is_some() {
            refuse("", "the name goes without a suffix".into(), "such as `timer.backup`");
        } else if unit_file::parts_of(&name).is_none_or(|(stem, _)| stem.ends_with('@')) {
            refuse("", format!("systemd starts no timer named {name:?}"), "such as `timer.backup`");
        }
        if !self.is_present() {
            return mistakes;
        }
        if self.events().is_empty() && self.every.is_none() && self.after_boot.is_none() {
            refuse("calendar", "a timer needs `calendar`, `every` or `after_boot`".into(), "such as \"*-*-* 03:30\"");
        }
        if self.every.is_some() && self.calendar.is_some() {
            refuse("every", "a timer with `calendar` elapses by that".into(), "leave one of them out");
        }
        if self.every.as_ref().is_some_and(|every| every.as_seconds() == 0) {
            refuse("every", "a timer cannot elapse all the time".into(), "such as \"15m\"");
        }
        if self.persistent && self.events().is_empty() {
            refuse("persistent", "only events of `calendar` are made up for".into(), "leave it out");
        }
        if let Some(unit) = self.unit.as_ref().filter(|unit| {
            unit.ends_with(".timer") || unit_file::parts_of(unit).is_none_or(|(stem, _)| stem.ends_with('@'))
        }) {
            refuse("unit", format!("a timer cannot start {unit:?}"), "such as \"app.service\"");
        }
        match &self.user {
            Some(_) if self.command.is_none() => {
                refuse("user", "it is the user of `command`".into(), "set `User` in the unit that the timer starts");
            }
            Some(user) if user.is_empty() || user.contains(['%', ' ']) => {
                refuse("user", format!("{user:?} is not the name of a user"), "such as \"backup\"");
            }
            _ => {}
        }
        for (place, event) in self.events().iter().enumerate() {
            let path = match &self.calendar {
                Some(Events::Several(_)) => vec!["calendar".to_owned(), place.to_string()],
                _ => vec!["calendar".to_owned()],
            };
            let wrong = calendar::mistake(event).map(|(message, help)| AttributeError::at(path, message).help(help));
            mistakes.extend(wrong);
        }
        mistakes.extend(self.mistake_in_command(id));
        mistakes
    }
}

#[cfg(test)]
mod tests;
