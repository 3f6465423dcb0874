//! What people see of an effect that takes something back.

use serde_json::Value;

use crate::change::Change;
use crate::effect::images::{AccountDatabase, AccountLine, FileAttributes, FileImage, ImageContent};
use crate::effect::{
    Access, Acl, Capabilities, Content, Effect, PathChange, PlatformEffect, Sensitive, Touched, UnitAction,
    permissions_text,
};
use crate::host::{FileKind, HostView, HostViewExt};
use crate::path::HostPath;

/// More than this is not shown, in bytes.
const MOST: usize = 64 << 10;

/// What differs afterwards; nothing for an effect that speaks for itself.
pub(super) fn changes(effect: &Effect, host: &dyn HostView) -> Vec<Change> {
    if let Effect::Restore(image) = effect {
        return of_image(image, host);
    }
    if let Effect::Platform(PlatformEffect::RestoreAccounts { lines }) = effect {
        return of_accounts(lines, host);
    }
    effect.touches().iter().filter_map(|thing| of_thing(thing, host)).collect()
}

fn change(attribute: &str, from: Value, to: Value) -> Option<Change> {
    Some(Change { attribute: attribute.to_owned(), from, to })
}

fn of_image(image: &FileImage, host: &dyn HostView) -> Vec<Change> {
    let found = host.metadata(&image.path).ok().flatten();
    let attributes = host.attributes(&image.path).ok().flatten().unwrap_or_default();
    let mut all = Vec::new();
    match (text_of(image), &found) {
        (None, None) => all.extend(change("ensure", "absent".into(), "present".into())),
        (None, Some(_)) => {}
        (Some(to), found) => {
            let from = found.as_ref().map_or(Value::Null, |_| text_now(&image.path, host));
            let same = host.read(&image.path).ok().flatten().as_ref() == bytes_of(image);
            // Hidden texts look alike.
            all.extend(change("content", from.clone(), to.clone()).filter(|_| from != to || !same));
        }
    }
    let access = found.map(|found| found.access);
    let mut tell = |attribute: &str, from: Option<String>, to: String| {
        if from.as_ref() != Some(&to) {
            all.extend(change(attribute, from.map_or(Value::Null, Value::from), to.into()));
        }
    };
    if !matches!(image.content, ImageContent::Symlink(_)) {
        let now = |part: fn(&Access) -> String| access.as_ref().map(part);
        tell("owner", now(|access| access.owner.clone()), image.access.owner.clone());
        tell("group", now(|access| access.group.clone()), image.access.group.clone());
        tell("mode", now(|access| access.mode.to_string()), image.access.mode.to_string());
    }
    if access.is_some() {
        for (name, say) in SAID {
            tell(name, Some(say(&attributes)), say(&image.attributes));
        }
    }
    all
}

type Say = fn(&FileAttributes) -> String;

/// Attributes of files in words.
const SAID: [(&str, Say); 4] = [
    ("acl", |of| list(of, FileAttributes::ACL)),
    ("default_acl", |of| list(of, FileAttributes::DEFAULT_ACL)),
    ("capabilities", |of| {
        let value = of.xattrs.get(FileAttributes::CAPABILITIES);
        value.and_then(|value| Capabilities::decode(value.bytes())).map(|it| it.to_string()).unwrap_or_default()
    }),
    ("flags", |of| of.flags.names().collect::<Vec<_>>().join(" ")),
];

fn list(of: &FileAttributes, name: &str) -> String {
    let list = of.xattrs.get(name).and_then(|list| Acl::decode(list.bytes()).ok()).unwrap_or_default();
    let entries = list.entries().map(|(who, permissions)| format!("{who}={}", permissions_text(permissions)));
    entries.collect::<Vec<_>>().join(" ")
}

/// The bytes of an image that are at hand.
fn bytes_of(image: &FileImage) -> Option<&Content> {
    match &image.content {
        ImageContent::File(content) => Some(content),
        ImageContent::Stored(_) | ImageContent::Symlink(_) | ImageContent::Directory | ImageContent::Same => None,
    }
}

/// Users and groups that come, go, or are as they were.
fn of_accounts(lines: &[AccountLine], host: &dyn HostView) -> Vec<Change> {
    let said = |there: bool| Value::from(if there { "present" } else { "absent" });
    let mut all = Vec::new();
    for line in lines {
        let (kind, there) = match line.database {
            AccountDatabase::Passwd => ("user", host.user(&line.name).ok().flatten().is_some()),
            AccountDatabase::Group => ("group", host.group(&line.name).ok().flatten().is_some()),
            AccountDatabase::Shadow | AccountDatabase::Gshadow | AccountDatabase::Subuid | AccountDatabase::Subgid => {
                continue;
            }
        };
        let attribute = format!("{kind} {}", line.name);
        all.extend(match there == line.line.is_some() {
            true => change(&attribute, "as it is".into(), "as before".into()),
            false => change(&attribute, said(there), said(!there)),
        });
    }
    all
}

fn of_thing(thing: &Touched<'_>, host: &dyn HostView) -> Option<Change> {
    match thing {
        Touched::Path { path, change: PathChange::Removed } => {
            let is_directory =
                host.metadata(path).ok().flatten().is_some_and(|found| found.kind == FileKind::Directory);
            match is_directory {
                true => change("", path.as_str().into(), Value::Null),
                false => change("content", text_now(path, host), Value::Null),
            }
        }
        Touched::Path { path, change: PathChange::TreeRemoved | PathChange::SpecialRemoved } => {
            change("", path.as_str().into(), Value::Null)
        }
        Touched::Unit { action, .. } => match action {
            UnitAction::Start => change("running", false.into(), true.into()),
            UnitAction::Stop => change("running", true.into(), false.into()),
            UnitAction::Enable => change("enabled", false.into(), true.into()),
            UnitAction::Disable => change("enabled", true.into(), false.into()),
            UnitAction::Mask => change("masked", false.into(), true.into()),
            UnitAction::Unmask => change("masked", true.into(), false.into()),
            UnitAction::Restart | UnitAction::Reload | UnitAction::ResetFailed => None,
        },
        Touched::Path { change: PathChange::Metadata | PathChange::Replaced, .. }
        | Touched::User(_)
        | Touched::Group(_)
        | Touched::UsersOf(_)
        | Touched::Home { .. }
        | Touched::Packages(_)
        | Touched::PackageDatabase
        | Touched::PackageLists
        | Touched::ServiceManager
        | Touched::Anything(_) => None,
    }
}

/// The text of a file that all may read; content that is hidden from some users is hidden here.
fn text_now(path: &HostPath, host: &dyn HostView) -> Value {
    let Ok(Some(found)) = host.metadata(path) else { return Value::Null };
    let is_open = match found.kind {
        FileKind::Symlink => host.is_reachable_by_all(path),
        FileKind::File | FileKind::Directory | FileKind::Fifo | FileKind::Socket | FileKind::Device => {
            host.is_readable_by_all(path)
        }
    };
    if !is_open {
        return Sensitive::HIDDEN.into();
    }
    let content = match host.read_link(path) {
        Ok(Some(target)) => Some(target),
        _ if found.size > MOST as u64 => None,
        _ => host.read(path).ok().flatten().and_then(|content| content.text().map(str::to_owned)),
    };
    content.map_or_else(|| format!("<{} bytes>", found.size).into(), Value::from)
}

fn text_of(image: &FileImage) -> Option<Value> {
    match &image.content {
        ImageContent::File(_) | ImageContent::Stored(_) if image.is_sensitive() => Some(Sensitive::HIDDEN.into()),
        ImageContent::File(content) => match content.text() {
            Some(text) => Some(text.into()),
            None => Some(format!("<{} bytes>", content.bytes().len()).into()),
        },
        ImageContent::Stored(blob) => Some(format!("<{} bytes>", blob.size).into()),
        ImageContent::Symlink(target) => Some(target.as_str().into()),
        ImageContent::Directory | ImageContent::Same => None,
    }
}
