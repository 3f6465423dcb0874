//! What of an effect can be taken back, and what of it is written down.

use serde::{Deserialize, Serialize};

use super::about::Held;
use super::images::{AccountLine, FileImage, ImageContent};
use super::{Command, Content, CreateUser, Effect, PlatformEffect, Rebuild, UserChanges, WriteFile};

/// Whether an effect can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// What was before can be put back.
    Possible,
    /// It changes nothing that could be put back, such as a restart.
    Needless,
    /// A point of no return.
    Impossible,
}

impl Effect {
    /// The effect as it is written down: without contents, which may be large, and without what must not be shown.
    #[must_use]
    pub fn without_content(&self) -> Effect {
        let unfed = |command: &Command| Command { stdin: None, ..command.clone() };
        match self.held() {
            Held::File(file) => {
                let validate = file.validate.as_ref().map(unfed);
                Effect::WriteFile(WriteFile { content: Content::from(""), validate, ..file.clone() })
            }
            Held::Image(image) => {
                let content = match &image.content {
                    ImageContent::File(_) => ImageContent::File(Content::from("")),
                    other @ (ImageContent::Stored(_)
                    | ImageContent::Directory
                    | ImageContent::Symlink(_)
                    | ImageContent::Same) => other.clone(),
                };
                Effect::Restore(Box::new(FileImage { content, ..image.clone() }))
            }
            Held::NewUser(user) => {
                let attributes = UserChanges { password: None, ..user.attributes.clone() };
                Effect::Platform(PlatformEffect::CreateUser(CreateUser { attributes, ..user.clone() }))
            }
            Held::OfUser(name, changes) => {
                let changes = UserChanges { password: None, ..changes.clone() };
                Effect::Platform(PlatformEffect::ChangeUser { name: name.to_owned(), changes })
            }
            Held::Lines(lines) => {
                let lines = lines.iter().map(|line| AccountLine { line: None, ..line.clone() }).collect();
                Effect::Platform(PlatformEffect::RestoreAccounts { lines })
            }
            Held::Command(command) => Effect::Run(unfed(command)),
            Held::Rebuild(rebuild) => Effect::Rebuild(Rebuild { command: unfed(&rebuild.command), ..rebuild.clone() }),
            Held::Nothing => self.clone(),
        }
    }
}
