//! The resource type `file`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::effect::{Access, Command, Content, Digest, Effect, HardLinks, Removal, WriteFile};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{
    FileKind, Host, HostView, HostViewExt, in_the_way, in_words_of, make_parents, retire_unit_of,
};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Source, Surroundings, Target,
};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{self, Managed, NewGroup};
use crate::attributes::{Attributes, Declared};
use crate::command_line::CommandLine;
use crate::ensure::Ensure;
use crate::formats;
use crate::links::{self, Links};
use provision_core::held::Held;

/// The mode of a new file.
const NEW: u32 = 0o644;

/// A regular file, named by its absolute path.
///
/// At most one of `content`, `source`, `json`, `toml`, `yaml` and `ini` says what it holds. Without any of them a file
/// that is there keeps its content, and one that is not is created empty.
///
/// A file is replaced as a whole: whoever reads it sees the old file or the new one. Its access control list and
/// extended attributes are kept. Other hard links to it keep the old content. A symbolic link in its place is replaced
/// by the file, and what it leads to is left alone; a directory in its place is an error, and so is a named pipe, a socket or a
/// device unless `force` is set.
///
/// Owner, group and mode that are unset are kept from the file that is there. A new file gets `root`, the group of a
/// set-group-id directory around it or else `root`, and 0644; one that holds a secret has `root`, `root` and 0600 unless
/// others are declared, also where it was there before. See `docs/unset-attributes.md`.
///
/// Content is not converted: line endings and byte order marks are written as declared. An immutable file (`chattr +i`) and
/// one that something is mounted on cannot be replaced, which is an error.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct File {
    /// Whether the file is there.
    pub ensure: Ensure,
    /// What it holds: a text, or a secret, `{ secret = "db/password" }`, or a text with secrets in it,
    /// `{ secret_template = "password={{db/password}}\n" }`. The mode of a file with a secret keeps others out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// Whether the last line of a text in `content` gets an end if it has none: cron ignores such a line, and others do. A
    /// secret and a text with NUL bytes are written as they are, and so is a `source`.
    pub final_newline: bool,
    /// What it holds: a copy of this file, whose path starts at the directory of the site file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it holds: this value as JSON, indented by two spaces, keys sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// What it holds: this record as TOML, keys sorted. TOML has no null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toml: Option<formats::Record>,
    /// What it holds: this value as YAML in block style, keys sorted. Strings that look like something else are quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaml: Option<Value>,
    /// What it holds: this record of sections as INI, each a record of `key=value` lines, all sorted. An array repeats
    /// its key. Values beside the sections come before them. Values are written as they are, so quote what the program
    /// that reads them wants quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ini: Option<formats::Record>,
    /// User that owns it: a name, or a number in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Group that owns it: a name, or a number in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Permission bits; 0644 if they are unset and `acl` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The access control list, beyond what the mode says: who may do what, as `{ "user:deploy" = "rw-" }`; also
    /// `"group:adm"`, and `"group:"` for the file's own group where it gets less than the mode shows. The group bits of
    /// the mode are the most that anybody named gets. `{}` for no list; what is there is kept if this is not said, but for a file that
    /// holds a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<BTreeMap<String, String>>,
    /// What the program may do beyond the rights of its user, such as `"cap_net_bind_service=ep"`; see capabilities(7).
    /// `""` for nothing; what is there is kept if this is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<String>,
    /// Flags of chattr(1), `true` or `false`: `immutable`, `append_only`, `no_dump`, `no_atime`, `sync`.
    /// Others are kept. An immutable file is changed only if `immutable` is named here; the flag is lifted
    /// for the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<BTreeMap<String, bool>>,
    /// What is done if a symbolic link is in the place: it is an error, what it leads to is meant, or it is replaced.
    pub links: Links,
    /// What is done if the file has other names (hard links) when new content comes: they keep the old content, or that
    /// is an error.
    pub hard_links: HardLinks,
    /// Whether a named pipe, a socket or a device in its place is removed, which cannot be undone. A directory there is always
    /// an error.
    pub force: bool,
    /// Whether missing directories above it are created, for root and with mode 0755.
    pub parents: bool,
    /// Whether a file that is there already gets the content too.
    pub replace: Replace,
    /// A command that checks new content before it takes its place, such as `"visudo -cf %"`: `%` stands for a file
    /// that holds it. If the command fails, the old file stays. It runs without a shell, and only for new content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate: Option<CommandLine>,
    /// Whether the file that is there is copied before other content takes its place, and before it is removed: to
    /// `.NAME.provision.bak` beside it, a name that cron, sudo, apt, logrotate and run-parts pass over. There is one
    /// copy, of the last file that was replaced.
    pub backup: bool,
    /// The content that `prepare` found; not an attribute.
    #[doc(hidden)]
    #[serde(skip)]
    #[setters(skip)]
    pub prepared: Option<Source>,
}

/// Whether a file that is there already gets the declared content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replace {
    /// It always holds what is declared.
    #[default]
    Always,
    /// The content is for a file that is not there yet; from then on only owner, group and mode are managed.
    Once,
}

/// How a file was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ensure", rename_all = "snake_case")]
pub enum FileState {
    /// Nothing is there.
    Absent {
        /// The group of a new file.
        #[serde(skip)]
        new: NewGroup,
    },
    /// A symbolic link is in its place.
    Symlink {
        /// Where it leads.
        target: String,
        /// The group of a new file.
        #[serde(skip)]
        new: NewGroup,
    },
    /// A pipe, a socket or a device is in its place, and may be removed.
    Special {
        /// Which.
        kind: FileKind,
        /// The group of a new file.
        #[serde(skip)]
        new: NewGroup,
    },
    /// It is there.
    Present {
        /// What it holds, if a content is declared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Held>,
        /// Owner, group and mode.
        #[serde(flatten)]
        access: Access,
        /// What is declared beside them.
        #[serde(flatten)]
        attributes: Attributes,
    },
}

impl Default for File {
    fn default() -> File {
        File {
            ensure: Ensure::Present,
            content: None,
            final_newline: true,
            source: None,
            json: None,
            toml: None,
            yaml: None,
            ini: None,
            owner: None,
            group: None,
            mode: None,
            acl: None,
            capabilities: None,
            flags: None,
            links: Links::Replace,
            hard_links: HardLinks::Break,
            force: false,
            parents: true,
            replace: Replace::Always,
            validate: None,
            backup: false,
            prepared: None,
        }
    }
}

impl File {
    /// A file that is not there.
    pub fn absent() -> File {
        File { ensure: Ensure::Absent, ..File::default() }
    }

    /// What is managed of owner, group and mode. A secret is kept from others also where a file was open to them, and a list
    /// means something beside a mode only.
    fn managed(&self) -> Managed<'_> {
        let root = self.secret().map(|_| "root");
        let private = self.secret().map(|_| Mode::new(0o600));
        let beside_list = self.acl.as_ref().map(|_| Mode::new(NEW));
        Managed {
            owner: self.owner.as_deref().or(root),
            group: self.group.as_deref().or(root),
            mode: self.mode.or(private).or(beside_list),
        }
    }

    /// The group of a new file at a path, if there will be one and it is unset.
    fn new_group(&self, path: &HostPath, host: &dyn HostView) -> Result<NewGroup> {
        match self.ensure {
            Ensure::Present if self.managed().group.is_none() => NewGroup::at(path, host),
            _ => Ok(NewGroup::default()),
        }
    }

    /// What it has beside content, owner, group and mode.
    fn declared(&self) -> Declared<'_> {
        let File { acl, capabilities, flags, .. } = self;
        // Whoever may read a secret is declared.
        static NOBODY: BTreeMap<String, String> = BTreeMap::new();
        let acl = acl.as_ref().or(self.secret().map(|_| &NOBODY));
        let (capabilities, flags) = (capabilities.as_ref(), flags.as_ref());
        Declared { acl, capabilities, flags, ..Declared::default() }
    }

    /// The attributes that say what it holds.
    fn content_attributes(&self) -> Vec<&'static str> {
        let all = [
            ("content", self.content.is_some()),
            ("source", self.source.is_some()),
            ("json", self.json.is_some()),
            ("toml", self.toml.is_some()),
            ("yaml", self.yaml.is_some()),
            ("ini", self.ini.is_some()),
        ];
        all.into_iter().filter(|(_, declared)| *declared).map(|(name, _)| name).collect()
    }

    /// The declared content; none if there is none, or if it is in a source file.
    fn written(&self) -> Result<Option<Content>, Vec<AttributeError>> {
        let text = match self {
            // What a secret stands for is known when a host is looked at.
            File { content: Some(text), .. } => return Ok(text.content().ok().map(|content| self.ended(content))),
            File { json: Some(value), .. } => formats::json(value)?,
            File { toml: Some(record), .. } => formats::toml(record)?,
            File { yaml: Some(value), .. } => formats::yaml(value)?,
            File { ini: Some(record), .. } => formats::ini(record)?,
            _ => return Ok(None),
        };
        Ok(Some(text.into()))
    }

    /// As [`written`](File::written), with the first mistake only: `validate` tells them all.
    fn written_or_mistake(&self) -> Result<Option<Content>, AttributeError> {
        let first = |mistakes: Vec<AttributeError>| mistakes.into_iter().next();
        self.written().map_err(|mistakes| first(mistakes).unwrap_or_else(|| AttributeError::new("", "no content")))
    }

    /// A text with an end of its last line.
    fn ended(&self, content: Content) -> Content {
        let is_text = |text: &&str| !text.is_empty() && !text.contains('\0');
        match content.text().filter(|_| self.final_newline && self.secret().is_none()).filter(is_text) {
            Some(text) if !text.ends_with('\n') => format!("{text}\n").into(),
            _ => content,
        }
    }

    /// The content that it shall have, if any is declared.
    fn wanted(&self) -> Result<Option<Source>> {
        let invalid = |message| Error::new(ErrorKind::Invalid, message);
        match (&self.prepared, &self.source) {
            _ if self.secret().is_some() => Ok(self.secret().map(Text::content).transpose()?.map(Source::from)),
            (Some(source), _) => Ok(Some(source.clone())),
            (None, Some(source)) => Err(invalid(format!("the source {source:?} has not been read"))),
            (None, None) => {
                let written = self.written_or_mistake().map_err(|mistake| invalid(mistake.message))?;
                Ok(written.map(Source::from))
            }
        }
    }

    /// What a file of so many bytes holds. What is long need not be read: the number may say enough, and a host may
    /// remember its digest.
    fn held(&self, path: &HostPath, size: u64, host: &dyn HostView) -> Result<Option<Held>> {
        if size > Digest::LONGEST_TEXT as u64 {
            // A user can give a file any size.
            if self.wanted()?.is_none_or(|wanted| wanted.size() != size) {
                return Ok(Some(Held::unread(size)));
            }
            if self.secret().is_none() {
                return Ok(host.digest(path)?.map(Held::Digest));
            }
        }
        match host.read(path) {
            // Of what is replaced as a whole it is enough to know that it is there.
            Err(error) if error.kind() == ErrorKind::Unsupported && self.wanted()?.is_some() => {
                Ok(Some(Held::unread(size)))
            }
            content => Ok(content?.map(|content| Held::beside(self.secret(), content))),
        }
    }

    /// The content, if it names secrets.
    fn secret(&self) -> Option<&Text> {
        self.content.as_ref().filter(|text| text.is_secret())
    }

    fn check_command(&self) -> Result<Option<Command>, AttributeError> {
        let Some(command) = &self.validate else { return Ok(None) };
        let words = command.words("validate")?;
        if !words.iter().skip(1).any(|word| word.contains('%')) {
            return Err(AttributeError::new("validate", "no argument of the command is `%`, so it checks nothing")
                .help("write `%` where the command takes the file, as in \"visudo -cf %\""));
        }
        Ok(Some(Command::new(words)))
    }

    /// Copies the file that is there, if that is wanted.
    fn keep_copy(&self, path: &HostPath, now: &FileState, host: &dyn Host) -> Result<()> {
        if self.backup && matches!(now, FileState::Present { .. }) {
            host.perform(&Effect::CopyFile { from: path.clone(), to: copy_of(path)? })?;
        }
        Ok(())
    }
}

/// Where the last file is kept. Directories of configuration snippets pass over names with a leading dot (apt, cron,
/// sudo, run-parts, and every pattern such as `*.conf`) or with the ending `.bak` (logrotate).
fn copy_of(path: &HostPath) -> Result<HostPath> {
    let directory = path.parent().unwrap_or_else(HostPath::root);
    directory.join(&format!(".{}.provision.bak", path.name()))
}

impl Resource for File {
    const TYPE: &'static str = "file";
    type State = FileState;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = access::mistakes(id, self.owner.as_deref(), self.group.as_deref());
        let path = access::path_of(id).ok();
        if path.as_ref().is_some_and(|path| path.parent().is_none()) {
            mistakes.push(AttributeError::new("", "the root directory is not a file"));
        }
        let declared = self.content_attributes();
        if self.ensure == Ensure::Absent {
            let refuse = |name| AttributeError::new(name, format!("a file that is absent has no `{name}`"));
            mistakes.extend(declared.into_iter().map(refuse));
        } else if let [first, others @ ..] = declared.as_slice() {
            let refuse = |name| {
                AttributeError::new(name, format!("`{first}` says already what the file holds, so `{name}` cannot"))
                    .help("write one of content, source, json, toml, yaml and ini")
            };
            mistakes.extend(others.iter().copied().map(refuse));
        }
        if let Some(mode) = self.mode.filter(|mode| mode.bits() & 0o007 != 0)
            && self.secret().is_some()
            && self.ensure == Ensure::Present
        {
            let message = format!("with the mode {mode}, everyone may use a file that holds a secret");
            mistakes.push(AttributeError::new("mode", message).help("such as \"0600\", or \"0640\" for its group"));
        }
        if !self.final_newline && self.content.is_none() {
            mistakes.push(AttributeError::new("final_newline", "only a text in `content` gets a final newline"));
        }
        // A text is what it is.
        if self.content.is_none() {
            mistakes.extend(self.written().err().into_iter().flatten());
        }
        if self.source.as_deref().is_some_and(str::is_empty) {
            mistakes.push(AttributeError::new("source", "the path is empty"));
        }
        mistakes.extend(self.check_command().err());
        mistakes.extend(self.declared().mistakes(self.managed().mode.unwrap_or(Mode::new(NEW))));
        if self.flags.as_ref().is_some_and(|flags| flags.contains_key("sync_directory")) {
            let path = vec!["flags".to_owned(), "sync_directory".to_owned()];
            mistakes.push(AttributeError::at(path, "only a directory has this flag").help("a file has `sync`"));
        }
        // A name has at most 255 bytes.
        if self.backup && path.and_then(|path| copy_of(&path).ok()).is_some_and(|copy| copy.name().len() > 255) {
            mistakes.push(AttributeError::new("backup", "the name is too long for a copy beside it"));
        }
        mistakes
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let present = self.ensure == Ensure::Present;
        let Managed { owner, group, .. } = self.managed();
        let mut claims = access::claims(id, owner.filter(|_| present), group.filter(|_| present));
        claims.extend(self.declared().claims().into_iter().filter(|_| present));
        if self.backup
            && let Ok(copy) = access::path_of(id).and_then(|path| copy_of(&path))
        {
            claims.push(Claim::owns(Target::Path(copy)));
        }
        claims
    }

    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        self.content.iter_mut().map(|text| ("content", text)).collect()
    }

    fn hidden(&self, cx: &CheckContext<'_>, now: &FileState) -> &'static [&'static str] {
        let host = cx.host();
        let is_open = || self.links.place(cx.id(), host).is_ok_and(|path| host.is_readable_by_all(&path));
        match now {
            // A digest says nothing.
            FileState::Present { content: Some(Held::Hidden(_)), .. } => &[],
            FileState::Present { content: Some(_), access, .. } if access.mode.bits() & 0o004 == 0 || !is_open() => {
                &["content"]
            }
            _ => &[],
        }
    }

    fn prepare(&mut self, _: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        self.prepared = match &self.source {
            Some(path) => Some(surroundings.source(path).map_err(|error| {
                let mistake = AttributeError::new("source", error.to_string());
                error.hint().map_or(mistake.clone(), |hint| mistake.help(hint))
            })?),
            None => self.written_or_mistake()?.map(Source::from),
        };
        Ok(())
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<FileState> {
        let host = cx.host();
        let path = self.links.place(cx.id(), host)?;
        let Some(found) = host.metadata(&path)? else {
            return Ok(FileState::Absent { new: self.new_group(&path, host)? });
        };
        match found.kind {
            FileKind::File => {}
            FileKind::Symlink if self.links == Links::Refuse => {
                return Err(links::refused(&path, host)?);
            }
            FileKind::Symlink => {
                let target = host.read_link(&path)?.unwrap_or_default();
                return Ok(FileState::Symlink { target, new: self.new_group(&path, host)? });
            }
            FileKind::Directory => {
                let hint = format!("declare `directory.\"{path}\"`, or remove the directory");
                return Err(in_the_way(&path, "a directory", hint));
            }
            kind if self.force => return Ok(FileState::Special { kind, new: self.new_group(&path, host)? }),
            kind => {
                let hint = "set `force = true` to remove it, or choose another path";
                return Err(in_the_way(&path, kind.noun(), hint));
            }
        }
        let content = match self.content_attributes().is_empty() {
            true => None,
            false => self.held(&path, found.size, host)?,
        };
        let attributes = self.declared().look(host, &path, found.access.mode)?;
        let Managed { owner, group, .. } = self.managed();
        let access = in_words_of(host, owner, group, found.access)?;
        Ok(FileState::Present { content, access, attributes })
    }

    fn plan(&self, _: &PlanContext<'_>, now: &FileState) -> Result<FileState> {
        if self.ensure == Ensure::Absent {
            return Ok(FileState::Absent { new: NewGroup::default() });
        }
        let content = match (self.replace, now) {
            (Replace::Once, FileState::Present { content, .. }) => content.clone(),
            _ => self.wanted()?.map(|source| Held::of(self.secret(), &source)).transpose()?,
        };
        let access = match now {
            FileState::Present { access, .. } => self.managed().of_found(access, FileKind::File),
            FileState::Absent { new } | FileState::Symlink { new, .. } | FileState::Special { new, .. } => {
                self.managed().of_new(new, NEW)
            }
        };
        let attributes = self.declared().wanted(access.mode)?;
        Ok(FileState::Present { content, access, attributes })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &FileState, want: &FileState) -> Result<()> {
        let host = cx.host();
        let path = self.links.place(cx.id(), host)?;
        if let FileState::Special { .. } = now {
            host.perform(&Effect::Remove { path: path.clone(), what: Removal::Special })?;
        }
        let FileState::Present { content, access, attributes } = want else {
            if let FileState::Special { .. } = now {
                return Ok(());
            }
            self.keep_copy(&path, now, host)?;
            if let FileState::Present { attributes: found, .. } = now {
                self.declared().unlock(host, &path, found)?;
            }
            retire_unit_of(&path, host)?;
            return host.perform(&Effect::Remove { path, what: Removal::File });
        };
        match now {
            FileState::Present { content: before, access: found, attributes: had } if before == content => {
                return access::change(host, &path, (found, had), (access, attributes), self.declared());
            }
            FileState::Absent { .. } => make_parents(host, &path, self.parents)?,
            _ => self.keep_copy(&path, now, host)?,
        }
        let content = self.wanted()?.map_or_else(|| Ok("".into()), |source| source.content())?;
        let validate = self.check_command().map_err(|mistake| Error::new(ErrorKind::Invalid, mistake.message))?;
        let attributes = self.declared().changes(None, (attributes, access.mode))?;
        let hard_links = self.hard_links;
        let file = WriteFile { path, content, access: access.clone(), validate, attributes, hard_links };
        host.perform(&Effect::WriteFile(file))
    }
}

#[cfg(test)]
mod tests;
