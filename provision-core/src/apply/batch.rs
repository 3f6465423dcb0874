//! Effects that wait for the disk together.

use std::collections::BTreeSet;

use crate::effect::{Effect, Removal};

/// How many there are at most: what was at their places before is in memory until they are done.
const MOST: usize = 128;

/// How many of the first effects may be written down, performed and synced as one: removals and changes of metadata at different paths, where none changes
/// what the image of another one holds; otherwise the first alone.
pub(super) fn length<'e>(effects: &'e [Effect]) -> usize {
    let mut paths = BTreeSet::new();
    let may_join = |effect: &&'e Effect| {
        let is_small = match *effect {
            Effect::Remove { what, .. } => *what != Removal::Tree,
            effect => matches!(effect, Effect::SetMetadata { .. }),
        };
        is_small && effect.path().is_some_and(|path| paths.insert(path))
    };
    effects.iter().take(MOST).take_while(may_join).count().max(1)
}
