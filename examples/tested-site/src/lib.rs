//! A site with tests. There is no program here: the site is `site.ncl`, and its tests are in it and in `tests/`.
//!
//! The guides are here as well, so that what they show is compiled and run.

#[doc = include_str!("../../../docs/testing-a-site.md")]
mod testing_a_site {}

#[doc = include_str!("../../../docs/testing-a-resource-type.md")]
mod testing_a_resource_type {}
