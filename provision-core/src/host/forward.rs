//! [`forward_view!`](crate::forward_view): the view of a host that wraps another.

/// Asks another host everything, for a host that wraps it: `forward_view!(self => self.host)` is the body of its
/// `impl HostView`. `forward_view!(but files: self => self.host)` leaves `metadata` and `read` to the host itself.
#[macro_export]
macro_rules! forward_view {
    ($me:ident => $other:expr) => {
        fn metadata(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<$crate::host::FileMetadata>> {
            ($other).metadata(path)
        }
        fn read(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<$crate::effect::Content>> {
            ($other).read(path)
        }
        $crate::forward_view!(but files: $me => $other);
    };
    (but files: $me:ident => $other:expr) => {
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
        fn package(&$me, name: &str) -> $crate::error::Result<$crate::host::PackageState> {
            ($other).package(name)
        }
        fn available_versions(&$me, name: &str) -> $crate::error::Result<Vec<String>> {
            ($other).available_versions(name)
        }
        fn interrupted_packages(&$me) -> $crate::error::Result<Vec<String>> {
            ($other).interrupted_packages()
        }
        fn package_manager(&$me) -> $crate::error::Result<$crate::host::PackageManager> {
            ($other).package_manager()
        }
        fn packages(&$me) -> $crate::error::Result<::std::sync::Arc<$crate::host::PackageTable>> {
            ($other).packages()
        }
        fn account_lines(&$me, users: &[&str], groups: &[&str]) -> $crate::error::Result<Vec<$crate::host::AccountLine>> {
            ($other).account_lines(users, groups)
        }
        fn now(&$me) -> $crate::moment::Moment {
            ($other).now()
        }
        fn preview(&$me, transaction: &$crate::effect::PackageTransaction) -> $crate::error::Result<$crate::host::TransactionPreview> {
            ($other).preview(transaction)
        }
        fn package_of(&$me, path: &$crate::path::HostPath) -> $crate::error::Result<Option<String>> {
            ($other).package_of(path)
        }
        fn unit(&$me, name: &str) -> $crate::error::Result<$crate::host::UnitState> {
            $crate::host::HostView::unit(&$other, name)
        }
        fn user(&$me, name: &str) -> $crate::error::Result<Option<$crate::host::User>> {
            ($other).user(name)
        }
        fn group(&$me, name: &str) -> $crate::error::Result<Option<$crate::host::Group>> {
            ($other).group(name)
        }
        fn accounts(&$me) -> $crate::error::Result<::std::sync::Arc<$crate::host::Accounts>> {
            ($other).accounts()
        }
        fn shadow(&$me, user: &str) -> $crate::error::Result<Option<$crate::host::Shadow>> {
            ($other).shadow(user)
        }
        fn query(&$me, command: &$crate::effect::Command) -> $crate::error::Result<$crate::effect::Output> {
            ($other).query(command)
        }
        fn architecture(&$me) -> $crate::error::Result<Option<String>> {
            ($other).architecture()
        }
        fn is_running(&$me) -> bool {
            ($other).is_running()
        }
        fn catalogue(&$me) -> Option<::std::sync::Arc<$crate::host::Catalogue>> {
            ($other).catalogue()
        }
        fn modelled_units(&$me) -> Option<&dyn $crate::host::ModelledUnits> {
            ($other).modelled_units()
        }
        fn prefetch(&$me, claims: &mut dyn Iterator<Item = &$crate::resource::Claim>) {
            ($other).prefetch(claims)
        }
    };
}
