//! A site with tests. There is no program here: the site is `site.ncl`, and its tests are in it and in `tests/`.
