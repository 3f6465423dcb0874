//! What the types have in common whose resources are small files of their own; see
//! [`Fragment`](provision_core::fragment::Fragment).

use provision_core::resource::ResourceId;

/// The first line of a file, a comment that says where it comes from.
pub(crate) fn managed(comment: &str, id: &ResourceId) -> String {
    format!("{comment} Managed by provision: {id}\n")
}
