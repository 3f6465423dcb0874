//! [`forward_view!`](crate::forward_view): the view of a host that wraps another.

/// Asks another host everything, for a host that wraps it: `forward_view!(self => self.host)` is the body of its
/// `impl HostView`. `forward_view!(but files: self => self.host)` leaves `metadata` and `read` to the host itself.
///
/// Only [`at_a_glance`](crate::host::HostView::at_a_glance) is not asked: what it gives would pass the wrapping host by.
#[macro_export]
macro_rules! forward_view {
    ($me:ident => $other:expr) => {
        $crate::forward_view!(files: $me => $other);
        $crate::forward_view!(but files: $me => $other);
    };
    (but files: $me:ident => $other:expr) => {
        $crate::forward_view!(rest: $me => $other);
        $crate::forward_view!(models: $me => $other);
        $crate::forward_view!(index: $me => $other);
        fn at_a_glance(&$me) -> Option<Box<dyn $crate::host::HostView + '_>> {
            None
        }
    };
    (at a glance: $me:ident => $other:expr) => {
        fn at_a_glance(&$me) -> Option<Box<dyn $crate::host::HostView + '_>> {
            ($other).at_a_glance()
        }
    };
    (models: $me:ident => $other:expr) => {
        fn package_model(&$me) -> Option<&dyn $crate::host::PackageModel> {
            ($other).package_model()
        }
        fn unit_model(&$me) -> Option<&dyn $crate::host::UnitModel> {
            ($other).unit_model()
        }
    };
    (index: $me:ident => $other:expr) => {
        fn unit_index(&$me) -> Option<&dyn $crate::host::UnitIndex> {
            ($other).unit_index()
        }
    };
    (files: $me:ident => $other:expr) => {
        fn metadata(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<$crate::host::FileMetadata>> {
            ($other).metadata(path)
        }
        fn read(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<$crate::effect::Content>> {
            ($other).read(path)
        }
    };
    (rest: $me:ident => $other:expr) => {
        fn attributes(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<$crate::host::FileAttributes>> {
            ($other).attributes(path)
        }
        fn copy_out(&$me, path: &$crate::path::HostPath, to: &mut dyn std::io::Write) -> $crate::error::Result<Option<u64>> {
            ($other).copy_out(path, to)
        }
        fn digest(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<$crate::effect::Digest>> {
            ($other).digest(path)
        }
        fn read_link(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<String>> {
            ($other).read_link(path)
        }
        fn list(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<Vec<String>>> {
            ($other).list(path)
        }
        fn ask(&$me, question: &$crate::host::Question<'_>) -> $crate::error::Result<$crate::host::Answer> {
            ($other).ask(question)
        }
        fn now(&$me) -> $crate::moment::Moment {
            ($other).now()
        }
        fn is_running(&$me) -> bool {
            ($other).is_running()
        }
        fn prefetch(&$me, claims: &mut dyn Iterator<Item = &$crate::resource::Claim>) {
            ($other).prefetch(claims)
        }
    };
}
