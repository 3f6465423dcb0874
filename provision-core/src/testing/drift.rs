//! Hosts that have drifted: what a site manages, changed as people and programs change it.

use crate::claim::{Hold, Target};
use crate::effect::{
    Access, AttributeChanges, Effect, PackageTransaction, PlatformEffect, Removal, UnitAction, UserChanges, WriteFile,
};
use crate::graph::Graph;
use crate::host::{FileKind, Host, HostView, HostViewExt, PackageStatus};
use crate::path::{HostPath, Mode};
use crate::sim::SimHost;

use crate::random::Random;

/// Changes something of what a site manages on a host, at least one thing if there is any: the same for the same seed.
/// Gives what was changed.
pub fn drift(graph: &Graph, host: &SimHost, seed: u64) -> Vec<Effect> {
    let mut random = Random::new(seed);
    let mut targets: Vec<Target> = graph
        .nodes
        .iter()
        .flat_map(|node| &node.claims)
        .filter(|claim| matches!(claim.hold, Hold::Owns | Hold::Removes))
        .map(|claim| claim.target.clone())
        .collect();
    targets.sort();
    targets.dedup();
    let mut done = Vec::new();
    if targets.is_empty() {
        return done;
    }
    for _ in 0..2 + random.below(4) {
        let target = &targets[random.below(targets.len())];
        for effect in change(target, host, &mut random) {
            // Not everything can be done to everything.
            if host.perform(&effect).is_ok() {
                done.push(effect);
            }
        }
    }
    host.take_effects();
    done
}

fn change(target: &Target, host: &SimHost, random: &mut Random) -> Vec<Effect> {
    let found = match target {
        Target::Path(path) => return change_path(path, host, random),
        Target::Unit(name) => {
            let actions =
                [UnitAction::Stop, UnitAction::Disable, UnitAction::Start, UnitAction::Enable, UnitAction::Mask];
            Some(Effect::Platform(PlatformEffect::Unit {
                unit: name.clone(),
                action: actions[random.below(actions.len())],
            }))
        }
        Target::Package(name) => {
            let installed = host.package(name).is_ok_and(|state| state.status == PackageStatus::Installed);
            let names = vec![name.clone()];
            let mut transaction = PackageTransaction::default();
            match (installed, random.below(3)) {
                (true, 0) => transaction.hold = names,
                (true, 1) => transaction.automatic = names,
                (true, _) => {
                    transaction.remove = names;
                    transaction.options.allow_removals = true;
                }
                (false, _) => return Vec::new(),
            }
            Some(Effect::Platform(PlatformEffect::Packages(transaction)))
        }
        Target::User(name) if name != "root" => match random.below(3) {
            0 => Some(Effect::Platform(PlatformEffect::RemoveUser { name: name.clone(), remove_home: false })),
            1 => {
                let changes = UserChanges { gecos: Some("Another name".into()), ..UserChanges::default() };
                Some(Effect::Platform(PlatformEffect::ChangeUser { name: name.clone(), changes }))
            }
            _ => {
                let changes = UserChanges { shell: HostPath::new("/bin/false").ok(), ..UserChanges::default() };
                Some(Effect::Platform(PlatformEffect::ChangeUser { name: name.clone(), changes }))
            }
        },
        Target::Group(name) => Some(Effect::Platform(PlatformEffect::SetMembers {
            group: name.clone(),
            members: vec!["daemon".to_owned()],
        })),
        _ => None,
    };
    found.into_iter().collect()
}

fn change_path(path: &HostPath, host: &SimHost, random: &mut Random) -> Vec<Effect> {
    let Ok(found) = host.metadata(path) else { return Vec::new() };
    let set = |owner: Option<&str>, mode: Option<u32>| Effect::SetMetadata {
        path: path.clone(),
        owner: owner.map(str::to_owned),
        group: None,
        mode: mode.map(Mode::new),
        attributes: AttributeChanges::default(),
    };
    let write = |text: &str, access: Access| Effect::WriteFile(WriteFile::new(path.clone(), text, access));
    let effect = match found.map(|found| (found.kind, found.access)) {
        // What is put where a directory or a link was is nothing that a type may take away.
        None => return Vec::new(),
        Some((FileKind::File, old)) => match random.below(4) {
            0 => write("edited by hand\n", old),
            1 => Effect::Remove { path: path.clone(), what: Removal::File },
            2 => set(Some("daemon"), None),
            _ => set(None, Some(0o606)),
        },
        Some((FileKind::Directory, _)) => match random.below(3) {
            0 if path.parent().is_some_and(|parent| parent.parent().is_some()) => {
                Effect::Remove { path: path.clone(), what: Removal::Tree }
            }
            1 => set(Some("daemon"), None),
            _ => set(None, Some(0o700)),
        },
        Some(_) => match random.one_in(2) {
            true => Effect::Remove { path: path.clone(), what: Removal::File },
            false => Effect::CreateSymlink {
                path: path.clone(),
                target: "/nowhere".into(),
                owner: "root".into(),
                group: "root".into(),
            },
        },
    };
    vec![effect]
}
