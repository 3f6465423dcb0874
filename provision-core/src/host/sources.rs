//! What a derived file is made from, as a digest and by its times.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{FileKind, HostView};
use crate::bytes::hex;
use crate::effect::Rebuild;
use crate::error::{ErrorKind, Result};
use crate::path::HostPath;

/// A digest of a command and of all that lies at or below its sources, but for the products and the stamp: SHA-256 in
/// hexadecimal, over names, kinds, contents, and links with what they lead to. A content that a model does not know stands for
/// itself.
///
/// # Errors
/// Something of it cannot be read.
pub fn digest_of_sources(host: &dyn HostView, rebuild: &Rebuild) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    rebuild.command.argv.iter().for_each(|word| add(word));
    visit(host, rebuild, &mut |path, kind| {
        let (kind, what) = match kind {
            None => ("absent", String::new()),
            Some(FileKind::File) => ("file", content(host, path)?),
            Some(FileKind::Symlink) => ("link", host.read_link(path)?.unwrap_or_default()),
            Some(other) => (other.noun(), String::new()),
        };
        [kind, path.as_str(), &what].into_iter().for_each(&mut add);
        Ok(())
    })?;
    Ok(hex(&hash.finalize()))
}

/// Whether no product is older than what it is made of, as make(1) decides it. It cannot be known where there are no products, or
/// where one lies in a directory that is a source: whatever comes and goes there changes the same time.
///
/// # Errors
/// Something of it cannot be read.
pub fn products_are_younger(host: &dyn HostView, rebuild: &Rebuild) -> Result<bool> {
    let time = |path: &HostPath| {
        let found = host.attributes(path)?;
        Ok(found.map(|found| (found.modified, found.modified_nanos)))
    };
    let times = rebuild.products.iter().map(time).collect::<Result<Option<Vec<_>>>>()?;
    let Some(oldest) = times.and_then(|times| times.into_iter().min()) else { return Ok(false) };
    let mut are_younger = true;
    visit(host, rebuild, &mut |path, kind| {
        let holds_a_product = kind == Some(FileKind::Directory) && rebuild.products.iter().any(|it| it.is_within(path));
        are_younger &= !holds_a_product && time(path)?.is_none_or(|time| time <= oldest);
        Ok(())
    })?;
    Ok(are_younger)
}

type Visitor<'v> = dyn FnMut(&HostPath, Option<FileKind>) -> Result<()> + 'v;

/// Looks at all that lies at or below the sources, in an order that is always the same, and at what links lead to.
fn visit(host: &dyn HostView, rebuild: &Rebuild, visitor: &mut Visitor<'_>) -> Result<()> {
    let Rebuild { sources, products, stamp, .. } = rebuild;
    let mut seen: BTreeSet<HostPath> = products.iter().chain(stamp).cloned().collect();
    let mut pending: Vec<HostPath> = sources.iter().rev().cloned().collect();
    while let Some(path) = pending.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let kind = host.metadata(&path)?.map(|found| found.kind);
        visitor(&path, kind)?;
        match kind {
            Some(FileKind::Directory) => {
                for name in host.list(&path)?.unwrap_or_default().iter().rev() {
                    pending.push(path.join(name)?);
                }
            }
            Some(FileKind::Symlink) => {
                let target = host.read_link(&path)?.unwrap_or_default();
                pending.extend(path.parent().and_then(|directory| directory.linked(&target).ok()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn content(host: &dyn HostView, path: &HostPath) -> Result<String> {
    match host.digest(path) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unknown) => Ok("unknown".to_owned()),
        digest => Ok(digest?.map(|digest| digest.sha256).unwrap_or_default()),
    }
}
