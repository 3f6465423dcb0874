//! A site with tests. There is no program here: the site is `site.ncl`, and its tests are in it and in `tests/`.

/// The guide is here as well, so that what it shows is compiled and run.
#[doc = include_str!("../../../docs/testing-a-site.md")]
mod guide {}
