//! Colours. The output is understood without them.

use anstyle::{AnsiColor, Style};

/// The id of a resource.
pub const ID: Style = Style::new().bold();
/// Something new.
pub const ADD: Style = AnsiColor::Green.on_default();
/// Something different.
pub const CHANGE: Style = AnsiColor::Yellow.on_default();
/// Something that goes, or that failed.
pub const REMOVE: Style = AnsiColor::Red.on_default();
/// A failure.
pub const FAIL: Style = AnsiColor::Red.on_default().bold();
/// What can wait.
pub const FAINT: Style = Style::new().dimmed();
/// What would help.
pub const HINT: Style = AnsiColor::Cyan.on_default();
