//! The difference between two texts, by lines, as a unified diff has it; see `diff(1)`.

use std::fmt;
use std::ops::Range;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{ChangeTag, DiffOp, DiffTag};

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// Lines that differ, with some around them.
pub struct Hunk<'t> {
    old: Range<usize>,
    new: Range<usize>,
    /// Its lines, without what ends them.
    pub lines: Vec<Line<'t>>,
}

/// A line of a hunk.
pub struct Line<'t> {
    /// Whether it goes, comes or stays.
    pub tag: ChangeTag,
    /// The line, without its end.
    pub text: &'t str,
    /// Whether nothing ends it: it is the last one of its text.
    pub unfinished: bool,
}

/// What differs. The algorithm is named here, because a program carries each that is chosen only when it runs.
pub fn hunks<'t>(old: &'t str, new: &'t str) -> Vec<Hunk<'t>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let mut hook = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    // Capturing cannot fail.
    let Ok(()) = myers::diff(&mut hook, &old[..], 0..old.len(), &new[..], 0..new.len());
    let groups = hook.into_inner().into_inner().into_grouped_ops(CONTEXT);
    groups.iter().filter_map(|ops| hunk(ops, &old, &new)).collect()
}

fn hunk<'t>(ops: &[DiffOp], old: &[&'t str], new: &[&'t str]) -> Option<Hunk<'t>> {
    let (first, last) = (ops.first()?, ops.last()?);
    let mut lines = Vec::new();
    let mut enter = |tag, texts: &[&'t str]| {
        lines.extend(texts.iter().map(|text| {
            let finished = text.strip_suffix('\n');
            Line { tag, text: finished.unwrap_or(text), unfinished: finished.is_none() }
        }));
    };
    for op in ops {
        let (tag, before, after) = op.as_tag_tuple();
        match tag {
            DiffTag::Equal => enter(ChangeTag::Equal, &old[before]),
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                enter(ChangeTag::Delete, &old[before]);
                enter(ChangeTag::Insert, &new[after]);
            }
        }
    }
    let old = first.old_range().start..last.old_range().end;
    Some(Hunk { old, new: first.new_range().start..last.new_range().end, lines })
}

impl Line<'_> {
    /// What stands before it.
    pub fn sign(&self) -> char {
        match self.tag {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        }
    }
}

/// The header: where it is in both texts.
impl fmt::Display for Hunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |lines: &Range<usize>| match lines.len() {
            0 => format!("{},0", lines.start),
            1 => (lines.start + 1).to_string(),
            many => format!("{},{many}", lines.start + 1),
        };
        write!(f, "@@ -{} +{} @@", place(&self.old), place(&self.new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `diff -u` has it, without the names of files.
    fn unified(old: &str, new: &str) -> String {
        let hunks = hunks(old, new);
        let lines = hunks.iter().flat_map(|hunk| {
            std::iter::once(hunk.to_string()).chain(hunk.lines.iter().map(|line| {
                let end = if line.unfinished { "\n\\ No newline at end of file" } else { "" };
                format!("{}{}{end}", line.sign(), line.text)
            }))
        });
        lines.map(|line| line + "\n").collect()
    }

    #[test]
    fn hunks_are_those_of_a_unified_diff() {
        let old: String = (1..=20).map(|line| format!("line {line}\n")).collect();
        let new = old.replace("line 2\n", "").replace("line 17\n", "line 17, changed\nand more\n") + "no end";
        insta::assert_snapshot!(unified(&old, &new), @r"
        @@ -1,5 +1,4 @@
         line 1
        -line 2
         line 3
         line 4
         line 5
        @@ -14,7 +13,9 @@
         line 14
         line 15
         line 16
        -line 17
        +line 17, changed
        +and more
         line 18
         line 19
         line 20
        +no end
        \ No newline at end of file
        ");
        assert_eq!(unified("", "one\n"), "@@ -0,0 +1 @@\n+one\n");
        assert_eq!(unified("one\n", "one"), "@@ -1 +1 @@\n-one\n+one\n\\ No newline at end of file\n");
        assert_eq!(unified("one\n", "one\n"), "");
    }

    proptest! {
        /// The lines that stay and go are the old text, and those that stay and come the new one.
        #[test]
        fn a_diff_of_short_texts_holds_both(old in "([ab]\n){0,3}[ab]?", new in "([ab]\n){0,3}[ab]?") {
            prop_assume!(old != new);
            let hunks = hunks(&old, &new);
            let text = |gone: ChangeTag| -> String {
                let lines = hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.tag != gone);
                lines.map(|line| line.text.to_owned() + if line.unfinished { "" } else { "\n" }).collect()
            };
            prop_assert_eq!(text(ChangeTag::Insert), &*old);
            prop_assert_eq!(text(ChangeTag::Delete), &*new);
        }
    }
}
