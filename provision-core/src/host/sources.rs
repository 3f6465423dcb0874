//! What a derived file was made from, as a digest.

use sha2::{Digest, Sha256};

use super::{FileKind, HostView};
use crate::bytes::hex;
use crate::error::{ErrorKind, Result};
use crate::path::HostPath;

/// A digest of all that lies at or below these paths, but for the products that are made from it: SHA-256 in hexadecimal, over
/// names, kinds, contents and the texts of links. A content that a model does not know stands for itself.
///
/// # Errors
/// Something of it cannot be read.
pub fn digest_of_sources(host: &dyn HostView, sources: &[HostPath], products: &[HostPath]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut pending: Vec<HostPath> = sources.iter().rev().cloned().collect();
    while let Some(path) = pending.pop() {
        if products.contains(&path) {
            continue;
        }
        let found = host.metadata(&path)?.map(|found| found.kind);
        let (kind, what) = match found {
            None => ("absent", String::new()),
            Some(FileKind::File) => ("file", content(host, &path)?),
            Some(FileKind::Symlink) => ("link", host.read_link(&path)?.unwrap_or_default()),
            Some(FileKind::Directory) => {
                let names = host.list(&path)?.unwrap_or_default();
                for name in names.iter().rev() {
                    pending.push(path.join(name)?);
                }
                ("directory", String::new())
            }
            Some(other) => (other.noun(), String::new()),
        };
        for part in [kind, path.as_str(), &what] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hex(&hash.finalize()))
}

fn content(host: &dyn HostView, path: &HostPath) -> Result<String> {
    match host.digest(path) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unknown) => Ok("unknown".to_owned()),
        digest => Ok(digest?.map(|digest| digest.sha256).unwrap_or_default()),
    }
}
