//! Tables: one test that is tried in many cases, each of which has a name.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::facts::Facts;
use crate::sim::SimHost;

use super::{Failure, RELEASES, Run, Site};

/// A case of a table: a host by a name, and what is particular about it.
///
/// ```
/// # use provision_core::sim::SimHost;
/// # use provision_core::testing::Row;
/// let row = Row::new("much memory", SimHost::debian(13))
///     .facts(|facts| facts.memory_mib = Some(8192))
///     .expecting("max=10000;");
/// ```
#[must_use]
pub struct Row<E = ()> {
    name: String,
    host: SimHost,
    facts: Vec<Box<ChangeOfFacts>>,
    overrides: Vec<(String, String)>,
    expected: E,
}

type ChangeOfFacts = dyn Fn(&mut Facts);

impl Row {
    /// This host, and nothing else.
    pub fn new(name: impl Into<String>, host: SimHost) -> Row {
        Row { name: name.into(), host, facts: Vec::new(), overrides: Vec::new(), expected: () }
    }

    /// A row for each release of Debian that was recorded, from its bare host on.
    pub fn on_each_release(name: &str, host: impl Fn(SimHost) -> SimHost) -> Vec<Row> {
        let row = |release| Row::new(format!("{name}, Debian {release}"), host(SimHost::debian(release)));
        RELEASES.map(row).into()
    }
}

impl<E> Row<E> {
    /// With facts that differ from those of the host.
    pub fn facts(mut self, change: impl Fn(&mut Facts) + 'static) -> Row<E> {
        self.facts.push(Box::new(change));
        self
    }

    /// With a value for a field of the site, as `--set PATH=VALUE` sets it.
    #[cfg(feature = "nickel")]
    pub fn set(mut self, path: &str, value: &str) -> Row<E> {
        self.overrides.push((path.to_owned(), value.to_owned()));
        self
    }

    /// With what is expected in this case. All rows of a table expect something of the same type.
    pub fn expecting<F>(self, expected: F) -> Row<F> {
        let Row { name, host, facts, overrides, .. } = self;
        Row { name, host, facts, overrides, expected }
    }
}

impl Site {
    /// Converges on the host of each row, and tries what came of it: the run, the host, and what the row expects.
    ///
    /// # Errors
    /// What went wrong in each row, by its name. All rows are tried first. A panic, such as that of an assertion, is one row
    /// that went wrong; so is a row that sets a field of a site that a Rust program declares.
    pub fn on_each<E>(
        &self,
        rows: impl IntoIterator<Item = Row<E>>,
        check: impl Fn(&Run, &SimHost, &E) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        each(rows.into_iter().map(|row| (row.name.clone(), row)), |row| {
            let mut facts = self.facts_for(&row.host)?;
            row.facts.iter().for_each(|change| change(&mut facts));
            let graph = match row.overrides.as_slice() {
                [] => self.graph_for(facts)?,
                overrides => self.overridden(overrides)?.graph_for(facts)?,
            };
            let run = Run::of_site(&graph, &row.host)?.succeeded()?;
            check(&run, &row.host, &row.expected)
        })
    }
}

/// Tries the same in each case of a table. For sites that differ: roles, environments, hosts with a site of their own.
///
/// ```
/// # use provision_core::testing::{Failure, each};
/// let failure = each([("two", 2), ("three", 3)], |number| {
///     assert_eq!(number % 2, 0, "it is odd");
///     Ok(())
/// });
/// assert!(failure.unwrap_err().to_string().contains("three: assertion `left == right` failed: it is odd"));
/// ```
///
/// # Errors
/// What went wrong in each case, by its name. All cases are tried first. A panic is one case that went wrong.
pub fn each<N: Display, T>(
    cases: impl IntoIterator<Item = (N, T)>,
    try_case: impl Fn(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut tried = 0;
    let mut failed = Vec::new();
    for (name, case) in cases {
        tried += 1;
        let result = catch_unwind(AssertUnwindSafe(|| try_case(case)));
        let result = result.unwrap_or_else(|panic| Err(Failure::new(said(&*panic))));
        failed.extend(result.err().map(|failure| failure.in_case(name)));
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        count => {
            let all: Vec<String> = failed.iter().map(ToString::to_string).collect();
            Err(Failure::new(format!("{count} of {tried} rows went wrong")).difference(all.join("\n\n")))
        }
    }
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

#[cfg(all(test, feature = "nickel"))]
mod tests {
    use super::*;

    use crate::registry::Registry;
    use crate::resource::{ApplyContext, CheckContext, PlanContext, Resource};

    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Note {
        text: String,
    }

    impl Resource for Note {
        const TYPE: &'static str = "note";
        type State = Option<String>;
        fn check(&self, cx: &CheckContext<'_>) -> crate::error::Result<Self::State> {
            crate::host::HostViewExt::read_text(cx.host(), "/etc/note")
        }
        fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> crate::error::Result<Self::State> {
            Ok(Some(self.text.clone()))
        }
        fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> crate::error::Result<()> {
            crate::host::HostExt::write_text(cx.host(), "/etc/note", &self.text)
        }
    }

    fn site() -> Site {
        Site::text(
            &Registry::new().with::<Note>(),
            r#"let facts = (import "provision.ncl").facts in {
              resources.note.n.text =
                if facts.cpus == 1 then std.fail_with "one" else "%{std.to_string facts.cpus} %{facts.os.version}",
            }"#,
        )
    }

    fn holds(_: &Run, host: &SimHost, expected: &&str) -> Result<(), Failure> {
        assert_eq!(host.file("/etc/note").text(), *expected);
        Ok(())
    }

    #[test]
    fn each_row_has_its_host_its_facts_and_its_values() {
        let rows = [
            Row::new("plain", SimHost::debian(13)).expecting("2 13"),
            Row::new("facts", SimHost::debian(12)).facts(|facts| facts.cpus = Some(8)).expecting("8 12"),
            Row::new("set", SimHost::debian(12)).set("resources.note.n.text", "set").expecting("set"),
        ];
        site().on_each(rows, holds).unwrap();
        let plain = SimHost::debian(12);
        let mut facts = Facts::gather(&plain).unwrap();
        facts.cpus = Some(5);
        let rows = [
            Row::new("site", plain.clone()).expecting("5 12"),
            Row::new("row", plain).facts(|facts| facts.os.version = "7".to_owned()).expecting("5 7"),
        ];
        site().facts(facts).on_each(rows, holds).unwrap();
    }

    #[test]
    fn every_row_is_tried_and_those_that_go_wrong_are_named() {
        let rows = [
            Row::new("wrong text", SimHost::debian(13)).expecting("nothing"),
            Row::new("all well", SimHost::debian(13)).expecting("2 13"),
            Row::new("refused", SimHost::debian(13)).facts(|facts| facts.cpus = Some(1)).expecting(""),
        ];
        let failure = site().on_each(rows, holds).unwrap_err();
        assert_eq!(failure.what(), "2 of 3 rows went wrong");
        let text = failure.to_string();
        assert!(text.contains("\nwrong text: assertion `left == right` failed\n"), "{text}");
        assert!(text.contains("\nrefused: the site is invalid\n") && !text.contains("all well"), "{text}");
    }

    #[test]
    fn a_row_for_each_release() {
        let rows = Row::on_each_release("bare", |bare| bare);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["bare, Debian 12", "bare, Debian 13"]);
    }
}
