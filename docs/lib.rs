//! The guides: their blocks of Rust are the tests of this crate's documentation, and `sites.rs` tries those of Nickel. The
//! site that they speak of is that of `examples/tested-site`.

#[doc = include_str!("testing-a-site.md")]
mod testing_a_site {}

#[doc = include_str!("testing-a-resource-type.md")]
mod testing_a_resource_type {}
