//! What of an effect is hidden in the forms that people and programs read: the one place that decides it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::about::Held;
use super::images::ImageContent;
use super::{Content, Effect, WriteFile};

impl Effect {
    /// Whether it holds something that must not be shown: a secret, or the content of a file that not every user may read.
    pub fn is_sensitive(&self) -> bool {
        self.hidden().is_some()
    }

    /// Whether it writes a secret, or the content of a sensitive resource.
    pub(crate) fn holds_secret(&self) -> bool {
        matches!(self.held(), Held::File(file) if file.content.is_sensitive())
    }

    /// The effect as that of a sensitive resource: no content that it holds is shown, whoever may read the file.
    #[must_use]
    pub(crate) fn into_sensitive(self) -> Effect {
        match self.held() {
            Held::File(file) => {
                let content = file.content.clone().into_sensitive();
                Effect::WriteFile(WriteFile { content, ..file.clone() })
            }
            Held::Image(image) => {
                let mut image = image.clone();
                if let ImageContent::File(content) = &mut image.content {
                    *content = content.clone().into_sensitive();
                }
                Effect::Restore(Box::new(image))
            }
            Held::NewUser(_)
            | Held::OfUser(..)
            | Held::Lines(_)
            | Held::Command(_)
            | Held::Rebuild(_)
            | Held::Nothing => self,
        }
    }

    /// The effect without what must not be shown; `None` if all of it may be.
    ///
    /// Texts of the type [`Sensitive`](super::Sensitive) hide themselves.
    fn hidden(&self) -> Option<Effect> {
        match self.held() {
            Held::File(file) => {
                let is_closed = file.access.mode.bits() & 0o004 == 0;
                let is_hidden = !file.content.bytes().is_empty() && (is_closed || file.content.is_sensitive());
                is_hidden.then(|| Effect::WriteFile(WriteFile { content: Content::hidden(), ..file.clone() }))
            }
            Held::Image(image) if image.is_sensitive() => {
                let mut image = image.clone();
                if let ImageContent::File(content) = &mut image.content
                    && !content.bytes().is_empty()
                {
                    *content = Content::hidden();
                }
                image.attributes.xattrs.values_mut().for_each(|value| *value = Content::hidden());
                Some(Effect::Restore(Box::new(image)))
            }
            Held::Image(_)
            | Held::NewUser(_)
            | Held::OfUser(..)
            | Held::Lines(_)
            | Held::Command(_)
            | Held::Rebuild(_)
            | Held::Nothing => None,
        }
    }
}

impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.hidden().filter(|_| serializer.is_human_readable()) {
            Some(hidden) => Effect::serialize(&hidden, serializer),
            None => Effect::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Effect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Effect, D::Error> {
        Effect::deserialize(deserializer)
    }
}

/// As JSON, so that nothing is shown here that is hidden there.
impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => f.write_str(&json),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::images::{FileAttributes, FileImage};
    use crate::effect::{Access, Sensitive};
    use crate::path::{HostPath, Mode};

    fn access(mode: u32) -> Access {
        Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) }
    }

    fn restore(mode: u32, content: Content) -> Effect {
        let xattrs = [("user.note".to_owned(), Content::from("canary in an attribute"))];
        Effect::Restore(Box::new(FileImage {
            path: HostPath::new("/etc/app.conf").unwrap(),
            content: ImageContent::File(content),
            access: access(mode),
            attributes: FileAttributes { xattrs: xattrs.into(), ..FileAttributes::default() },
        }))
    }

    #[test]
    fn the_content_of_a_closed_file_is_in_no_form_that_is_read() {
        let path = HostPath::new("/etc/app.conf").unwrap();
        for effect in [
            Effect::WriteFile(WriteFile::new(path.clone(), "canary", access(0o640))),
            Effect::WriteFile(WriteFile::new(path, Content::sensitive("canary"), access(0o644))),
            restore(0o600, "canary".into()),
            restore(0o644, Content::sensitive("canary")),
        ] {
            let shown = format!("{effect:?} {effect:#?} {effect} {}", serde_json::to_string(&effect).unwrap());
            assert!(shown.contains("<sensitive>") && !shown.contains("canary"), "{shown}");
            let sealed = rmp_serde::to_vec_named(&effect).unwrap();
            assert!(sealed.windows(6).any(|window| window == b"canary"), "the sealed form keeps it");
            let again: Effect = serde_json::from_str(&serde_json::to_string(&effect).unwrap()).unwrap();
            assert!(again.is_sensitive());
        }
    }

    #[test]
    fn the_content_of_a_sensitive_resource_is_hidden_in_a_file_that_is_open_to_all() {
        let path = HostPath::new("/etc/app.conf").unwrap();
        let write = Effect::WriteFile(WriteFile::new(path, "canary", access(0o644)));
        for effect in [write, restore(0o644, "canary".into())] {
            assert!(serde_json::to_string(&effect).unwrap().contains("canary"));
            let hidden = effect.clone().into_sensitive();
            assert!(!serde_json::to_string(&hidden).unwrap().contains("canary"));
            assert_eq!(hidden, effect, "it does the same");
        }
    }

    #[test]
    fn the_content_of_an_open_file_is_shown() {
        let effect = restore(0o644, "hello\n".into());
        assert!(serde_json::to_string(&effect).unwrap().contains(r#""file":"hello\n""#));
        assert!(!effect.is_sensitive());
    }

    #[test]
    fn hidden_values_are_of_the_type_that_hides_itself() {
        let line: Option<Sensitive> = Some(Sensitive::new("root:$6$canary"));
        assert_eq!(serde_json::to_string(&line).unwrap(), "\"<sensitive>\"");
    }
}
