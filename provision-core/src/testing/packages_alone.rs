//! What packages do by themselves, without a site: their scripts leave behind what no purge takes away, start units of
//! others and take the numbers that are free. No run can help that, and none is blamed for it.

use std::collections::BTreeMap;

use crate::effect::{Effect, PlatformEffect};
use crate::error::Result;
use crate::host::Host;
use crate::sim::SimHost;

use super::{Failure, Tried};

type Lines = BTreeMap<String, String>;

/// What a host comes to if only the effects on packages are done, among all that were; none stands for a loss of power.
pub(crate) fn packages_alone<'e>(
    begin: &SimHost,
    done: impl IntoIterator<Item = Option<&'e Effect>>,
) -> Result<Lines, Failure> {
    let host = begin.clone();
    for effect in done {
        match effect {
            // What fails has failed in the run as well.
            Some(effect @ Effect::Platform(PlatformEffect::Packages(_) | PlatformEffect::RepairPackages)) => {
                let _ = host.perform(effect);
            }
            Some(_) => {}
            None => host.lose_power(),
        }
    }
    Ok(host.observed()?.lines)
}

/// Leaves out in what two hosts differ as they do by packages alone.
pub(crate) fn but_for_packages([wanted, found]: [Lines; 2], alone: &[Lines; 2]) -> [Lines; 2] {
    let is_theirs = |what: &String| {
        let [first, second] = alone;
        first.get(what) != second.get(what)
            && without_owner(wanted.get(what)) == without_owner(first.get(what))
            && without_owner(found.get(what)) == without_owner(second.get(what))
    };
    let but = |lines: &Lines| {
        let others = lines.iter().filter(|(what, _)| !is_theirs(what));
        others.map(|(what, line)| (what.clone(), line.clone())).collect()
    };
    [but(&wanted), but(&found)]
}

/// A line of a path without owner and group: users that packages leave behind are taken away when a run is undone, and
/// their files stay.
fn without_owner(line: Option<&String>) -> Option<String> {
    let is_other = |part: &&str| !part.contains("owner: ") && !part.starts_with("group: ");
    line.map(|line| line.split(", ").filter(is_other).collect::<Vec<_>>().join(", "))
}
