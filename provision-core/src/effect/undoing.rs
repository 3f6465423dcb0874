//! What of an effect can be taken back, and what of it is written down.

use serde::{Deserialize, Serialize};

use super::images::ImageContent;
use super::{Content, Effect};

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
        let mut effect = self.clone();
        match &mut effect {
            Effect::WriteFile(file) => {
                file.content = Content::from("");
                file.validate = file.validate.take().map(|command| super::Command { stdin: None, ..command });
            }
            Effect::Restore(image) => {
                if let ImageContent::File(content) = &mut image.content {
                    *content = Content::from("");
                }
            }
            Effect::CreateUser(user) => user.attributes.password = None,
            Effect::ChangeUser { changes, .. } => changes.password = None,
            Effect::Run(command) => command.stdin = None,
            Effect::RestoreAccounts { lines } => lines.iter_mut().for_each(|line| line.line = None),
            Effect::CopyFile { .. }
            | Effect::CreateDirectory { .. }
            | Effect::CreateSymlink { .. }
            | Effect::SetMetadata { .. }
            | Effect::Remove { .. }
            | Effect::RepairPackages
            | Effect::RefreshPackageLists
            | Effect::Packages(_)
            | Effect::RemoveUser { .. }
            | Effect::CreateGroup { .. }
            | Effect::ChangeGroup { .. }
            | Effect::SetMembers { .. }
            | Effect::RemoveGroup { .. }
            | Effect::Unit { .. }
            | Effect::ReloadUnits
            | Effect::WatchUnit { .. } => {}
        }
        effect
    }
}
