//! The resource type `apt_source`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, Companion, ResourceId, Stage, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::apt_key::AptKey;
use crate::apt_syntax::authority_of;
use crate::ensure::Ensure;
use crate::settings::{Mistakes, Scalar};
use crate::validation::Validation;

/// Where packages come from: a file in `/etc/apt/sources.list.d`; see sources.list(5).
///
/// Lists are fetched once, after all sources and keys. All sources together are judged by `apt-get indextargets` before one of them is
/// changed, as with one bad field no command of apt works any more; `validation.apt-sources` may be declared otherwise. Names and
/// passwords belong into `/etc/apt/auth.conf.d`, see apt_auth.conf(5).
///
/// ```nickel
/// apt_source.example = {
///   uris = ["https://packages.example.org/debian"], suites = ["stable"], components = ["main"], signed_by = "example",
/// },
/// apt_key.example.source = "keys/example.gpg",
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct AptSource {
    /// Whether the source is there.
    pub ensure: Ensure,
    /// Whether apt uses it.
    pub enabled: bool,
    /// `"deb"`, `"deb-src"`.
    pub types: Vec<String>,
    /// Where it is. Required if it is present.
    pub uris: Vec<String>,
    /// Its suites, such as `"trixie"`, or paths that end with `/`. Required if it is present.
    pub suites: Vec<String>,
    /// Its components, such as `"main"`; none for paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// For these architectures alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// The key that signs it: the name of an `apt_key`, or a path. Any key that apt trusts if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// More fields, by their names in sources.list(5), such as `By-Hash`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Scalar>,
}

impl Default for AptSource {
    fn default() -> AptSource {
        AptSource {
            ensure: Ensure::Present,
            enabled: true,
            types: vec!["deb".into()],
            uris: Vec::new(),
            suites: Vec::new(),
            components: Vec::new(),
            architectures: Vec::new(),
            signed_by: None,
            options: BTreeMap::new(),
        }
    }
}

/// The fields beside those that are attributes; apt passes over any other without a word.
const OPTIONS: [&str; 14] = [
    "Allow-Downgrade-To-Insecure",
    "Allow-Insecure",
    "Allow-Weak",
    "By-Hash",
    "Check-Date",
    "Check-Valid-Until",
    "Date-Max-Future",
    "InRelease-Path",
    "Languages",
    "PDiffs",
    "Targets",
    "Trusted",
    "Valid-Until-Max",
    "Valid-Until-Min",
];

/// How apt can fetch; other methods come with packages.
const SCHEMES: [&str; 9] =
    ["http", "https", "file", "copy", "cdrom", "mirror", "mirror+http", "mirror+https", "mirror+file"];

impl AptSource {
    /// The file of its key.
    fn key(&self) -> Option<Result<HostPath>> {
        let named = |name: &String| if name.starts_with('/') { HostPath::new(name) } else { AptKey::path(name) };
        self.signed_by.as_ref().map(named)
    }
}

impl Fragment for AptSource {
    const TYPE: &'static str = "apt_source";
    const STAGE: Stage = Stage::PackageSources;
    const READERS: &'static [&'static str] = &["apt"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/apt/sources.list.d", &format!("{}.sources", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let lists = [
            ("Types", &self.types),
            ("URIs", &self.uris),
            ("Suites", &self.suites),
            ("Components", &self.components),
            ("Architectures", &self.architectures),
        ];
        let field = |name: &str, value: &str| format!("{name}: {value}\n");
        let mut text = managed("#", id);
        text.extend((!self.enabled).then(|| field("Enabled", "no")));
        text.extend(lists.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| field(name, &list.join(" "))));
        if let Some(key) = self.key().transpose()? {
            text.push_str(&field("Signed-By", key.as_str()));
        }
        let options = self.options.iter().map(|(name, value)| match value {
            Scalar::Flag(flag) => field(name, if *flag { "yes" } else { "no" }),
            other => field(name, &other.to_string()),
        });
        text.extend(options);
        Ok(text.into())
    }

    /// The fields of each stanza, with their words; see deb822(5).
    fn means(&self, text: &str) -> Option<Value> {
        let mut stanzas: Vec<BTreeMap<String, Vec<&str>>> = vec![BTreeMap::new()];
        let mut last = None;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let stanza = stanzas.last_mut()?;
            if line.trim().is_empty() {
                stanzas.push(BTreeMap::new());
                last = None;
            } else if line.starts_with([' ', '\t']) {
                stanza.get_mut(last.as_ref()?)?.extend(line.split_whitespace());
            } else {
                let (name, value) = line.split_once(':')?;
                let name = name.to_ascii_lowercase();
                // Of a field that is there twice, apt may read either.
                stanza.insert(name.clone(), value.split_whitespace().collect()).is_none().then_some(())?;
                last = Some(name);
            }
        }
        stanzas.retain(|stanza| !stanza.is_empty());
        Some(json!(stanzas))
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        if !self.is_present() {
            return Vec::new();
        }
        let key = self.key().and_then(Result::ok).map(Target::Path);
        let is_encrypted = self.uris.iter().any(|uri| uri.starts_with("https:"));
        let certificates = is_encrypted.then(|| Target::Package("ca-certificates".into()));
        key.into_iter().chain(certificates).map(Claim::needs).collect()
    }

    fn companions(_: &[(&ResourceId, &Self)]) -> Vec<Companion> {
        let paths = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];
        let paths = paths.map(|path| HostPath::new(path).expect("an absolute path"));
        vec![Companion::new("apt-sources", Validation::new(["apt-get", "indextargets"], paths))]
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "apt", "_.-");
        if !self.is_present() {
            return mistakes.0;
        }
        for (attribute, list, help) in [
            ("types", &self.types, "\"deb\""),
            ("uris", &self.uris, "such as [\"https://deb.debian.org/debian\"]"),
            ("suites", &self.suites, "such as [\"trixie\"]"),
        ] {
            if list.is_empty() {
                mistakes.refuse(&[attribute], format!("a source needs `{attribute}`"), help);
            }
        }
        let is_path = |suite: &String| suite.ends_with('/');
        match (self.suites.iter().any(is_path), self.suites.iter().all(is_path), self.components.is_empty()) {
            (_, true, true) | (false, _, false) => {}
            (_, true, false) => mistakes.refuse(&["components"], "a path has no components", "take them out"),
            (true, false, _) => mistakes.refuse(&["suites"], "some are paths and some are not", "declare two sources"),
            (false, ..) => {
                mistakes.refuse(&["components"], "a suite has components", "such as [\"main\"]; a path ends with `/`")
            }
        }
        for (attribute, list) in [
            ("types", &self.types),
            ("uris", &self.uris),
            ("suites", &self.suites),
            ("components", &self.components),
            ("architectures", &self.architectures),
        ] {
            for (place, word) in list.iter().enumerate() {
                let path = [attribute, &place.to_string()];
                if word.is_empty() || word.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
                    mistakes.refuse(&path, format!("{word:?} is not one word"), "each element is one");
                } else if attribute == "types" && !["deb", "deb-src"].contains(&word.as_str()) {
                    mistakes.refuse(&path, format!("{word:?} is no type of source"), "\"deb\" or \"deb-src\"");
                } else if attribute == "uris" {
                    mistake_in_uri(word, &path, &mut mistakes);
                }
            }
        }
        if let Some(Err(error)) = self.key() {
            mistakes.refuse(&["signed_by"], error.message(), "the name of an `apt_key`, or a path");
        }
        for (name, value) in &self.options {
            let path = ["options", name.as_str()];
            if !OPTIONS.contains(&name.as_str()) {
                mistakes.refuse(
                    &path,
                    format!("apt ignores the field {name:?}"),
                    format!("it has {}", OPTIONS.join(", ")),
                );
            } else if value.to_string().contains('\n') {
                mistakes.refuse(&path, "a value is one line", "take the line break out");
            }
        }
        mistakes.0
    }
}

fn mistake_in_uri(uri: &str, path: &[&str], mistakes: &mut Mistakes) {
    let Some((scheme, _)) = uri.split_once(':').filter(|(scheme, _)| SCHEMES.contains(scheme)) else {
        return mistakes.refuse(
            path,
            format!("apt cannot fetch {uri:?}"),
            format!("it begins with one of {}", SCHEMES.join(", ")),
        );
    };
    let authority = authority_of(uri).unwrap_or_default();
    if authority.contains('@') {
        mistakes.refuse(
            path,
            "all users could read the password in it",
            "write it into /etc/apt/auth.conf.d; see apt_auth.conf(5)",
        );
    } else if scheme.contains("http") && authority.is_empty() {
        mistakes.refuse(path, format!("{uri:?} names no host"), "such as \"https://deb.debian.org/debian\"");
    }
}

#[cfg(test)]
mod tests;
