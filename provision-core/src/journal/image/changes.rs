//! What people see of an effect that takes something back.

use serde_json::Value;

use crate::effect::{Effect, Removal, Sensitive, UnitAction};
use crate::host::{FileImage, HostView, ImageContent};
use crate::path::HostPath;
use crate::plan::Change;

/// More than this is not shown, in bytes.
const MOST: usize = 64 << 10;

/// What differs afterwards; `None` for an effect that speaks for itself.
pub(in crate::journal) fn change(effect: &Effect, host: &dyn HostView) -> Option<Change> {
    let change = |attribute: &str, from: Value, to: Value| Some(Change { attribute: attribute.to_owned(), from, to });
    match effect {
        Effect::Restore(image) => {
            let from = text_now(&image.path, host);
            match text_of(image) {
                None => change("", from, image.path.as_str().into()),
                to if to.as_ref() == Some(&from) => {
                    let found = host.metadata(&image.path).ok()??;
                    change("access", said(&found.access), said(&image.access))
                }
                to => change("content", from, to.unwrap_or_default()),
            }
        }
        Effect::Remove { path, what: Removal::File } => change("content", text_now(path, host), Value::Null),
        Effect::Remove { path, .. } => change("", path.as_str().into(), Value::Null),
        Effect::Unit { action, .. } => match action {
            UnitAction::Start => change("running", false.into(), true.into()),
            UnitAction::Stop => change("running", true.into(), false.into()),
            UnitAction::Enable => change("enabled", false.into(), true.into()),
            UnitAction::Disable => change("enabled", true.into(), false.into()),
            UnitAction::Mask => change("masked", false.into(), true.into()),
            UnitAction::Unmask => change("masked", true.into(), false.into()),
            _ => None,
        },
        Effect::RestoreAccounts { lines } => {
            let mut names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            change("accounts", "as they are".into(), format!("{} as before", names.join(", ")).into())
        }
        _ => None,
    }
}

fn said(access: &crate::effect::Access) -> Value {
    format!("{}:{} {}", access.owner, access.group, access.mode).into()
}

/// The text of a file that all may read; what is hidden from others is hidden here.
fn text_now(path: &HostPath, host: &dyn HostView) -> Value {
    let Ok(Some(found)) = host.metadata(path) else { return Value::Null };
    if found.access.mode.bits() & 0o004 == 0 {
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
    let open = image.access.mode.bits() & 0o004 != 0;
    match &image.content {
        ImageContent::File(_) | ImageContent::Stored(_) if !open => Some(Sensitive::HIDDEN.into()),
        ImageContent::File(content) => match content.text() {
            Some(text) => Some(text.into()),
            None => Some(format!("<{} bytes>", content.bytes().len()).into()),
        },
        ImageContent::Stored(blob) => Some(format!("<{} bytes>", blob.size).into()),
        ImageContent::Symlink(target) => Some(target.as_str().into()),
        ImageContent::Directory | ImageContent::Same => None,
    }
}
