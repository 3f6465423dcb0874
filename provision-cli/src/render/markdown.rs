//! A plan for a comment in a review.

use std::io::Write;

use provision_core::effect::Content;
use provision_core::plan::{Change, Plan, Step, Verdict};
use serde_json::Value;

use super::plan::{counted, effects_of, sign};
use super::{diff, foreign};
use crate::exit::Failure;
use crate::output;

/// Shows a plan as Markdown: a table of what happens, and the differences of texts folded away.
pub fn plan(plan: &Plan, host: &str) -> Result<(), Failure> {
    let mut out = output::stdout();
    writeln!(out, "### Plan for {}\n", code(host))?;
    let busy: Vec<&Step> =
        plan.steps.iter().filter(|step| step.verdict != Verdict::InSync || step.reaction.is_some()).collect();
    if busy.is_empty() {
        writeln!(out, "Nothing to do: {} resources in sync.", plan.steps.len())?;
        return Ok(());
    }
    writeln!(out, "| | resource | what happens |\n|---|---|---|")?;
    for step in &busy {
        let (sign, says) = said(step);
        writeln!(out, "| `{sign}` | {} | {} |", code(&step.id), code(says))?;
    }
    for transaction in plan.transactions.iter().filter_map(|transaction| transaction.preview.as_ref()) {
        if transaction.changes.is_empty() {
            continue;
        }
        writeln!(out, "\n<details><summary>{} packages in one transaction</summary>\n", transaction.changes.len())?;
        for change in &transaction.changes {
            let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "nothing".to_owned());
            writeln!(out, "- {} {} → {}", code(&change.name), code(version(&change.from)), code(version(&change.to)))?;
        }
        writeln!(out, "\n</details>")?;
    }
    for step in &busy {
        for change in step.changes.iter().filter(|change| is_text(&change.from) || is_text(&change.to)) {
            details(&mut out, step, change)?;
        }
    }
    let lost: Vec<String> =
        plan.steps.iter().flat_map(effects_of).filter_map(|effect| effect.point_of_no_return()).collect();
    if !lost.is_empty() {
        writeln!(out, "\n**Points of no return**\n")?;
        lost.iter().try_for_each(|why| writeln!(out, "- {}", code(why)))?;
    }
    writeln!(out, "\n{}", counted(&plan.counts()))?;
    Ok(())
}

fn said(step: &Step) -> (&'static str, String) {
    let reaction = step.reaction.as_ref().map(|reaction| {
        let effects: Vec<String> = reaction.effects.iter().map(ToString::to_string).collect();
        let causes: Vec<String> = reaction.causes.iter().map(ToString::to_string).collect();
        let pending =
            reaction.pending_notifications.first().map(|pending| format!("pending since run {}", pending.run));
        format!("{} ({})", effects.join(", "), pending.unwrap_or_else(|| format!("because of {}", causes.join(", "))))
    });
    match &step.verdict {
        Verdict::InSync => ("~", reaction.unwrap_or_default()),
        Verdict::Change => {
            let mut parts: Vec<String> = step.effects.iter().map(ToString::to_string).collect();
            parts.extend(reaction);
            (sign(&step.changes).0, parts.join("; "))
        }
        Verdict::Deferred { because } => ("?", format!("is decided once {because}")),
        Verdict::Failed { error } => ("!", error.to_string()),
        Verdict::Skipped { because } => ("!", format!("would be skipped, because {because} cannot be done")),
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains('\n'))
}

fn details(out: &mut impl Write, step: &Step, change: &Change) -> Result<(), Failure> {
    let (from, to) = (change.from.as_str().unwrap_or_default(), change.to.as_str().unwrap_or_default());
    // What is not shown has no lines.
    let ((from, gone), (to, new)) = (shown(from, '-'), shown(to, '+'));
    let mut lines: Vec<String> = gone.into_iter().collect();
    for hunk in diff::hunks(from, to) {
        lines.push(hunk.to_string());
        for line in hunk.lines {
            lines.push(foreign::content(&format!("{}{}", line.sign(), line.text)));
            lines.extend(line.unfinished.then(|| "\\ No newline at end of file".to_owned()));
        }
    }
    lines.extend(new);
    let diff = lines.join("\n");
    // A fence must be longer than any within.
    let longest = diff.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(
        out,
        "\n<details><summary><code>{} of {}</code></summary>\n",
        escaped(&change.attribute),
        escaped(&step.id.to_string())
    )?;
    writeln!(out, "{fence}diff\n{diff}\n{fence}\n\n</details>")?;
    Ok(())
}

/// The text of a side to be compared, and the line for one that is not shown.
fn shown(side: &str, sign: char) -> (&str, Option<String>) {
    if Content::is_placeholder(side) { ("", Some(foreign::content(&format!("{sign}{side}")))) } else { (side, None) }
}

/// Foreign text in a code span, in which no link, no mention and no emphasis is recognised; see CommonMark 6.1. A bar would
/// end the cell of a table even there.
fn code(text: impl std::fmt::Display) -> String {
    let text = foreign::line(text).replace('|', "\\|");
    if text.is_empty() {
        return text;
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Foreign text that stays text within HTML.
fn escaped(text: &str) -> String {
    foreign::line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::captured;
    use serde_json::json;

    /// It had ended the fence, and what followed was Markdown.
    #[test]
    fn a_text_that_looks_like_one_that_is_not_shown_stays_in_its_fence() {
        let change = json!({ "attribute": "content", "from": "<7 bytes, sha256 x\n```\n@all>", "to": "a\nb\n" });
        let step = json!({
            "id": "file:/etc/motd", "declared_at": null, "phase": 0, "verdict": { "verdict": "change" }, "changes": [change],
            "effects": [], "reaction": null, "assumes": [], "tags": [],
        });
        let none = json!([]);
        let read = json!({
            "steps": [step], "transactions": none, "dropped_notifications": none, "orphans": none, "others": none,
        });
        plan(&serde_json::from_value(read).unwrap(), "host").unwrap();
        let shown = captured::take();
        assert!(shown.contains("-<7 bytes, sha256 x\\n```\\n@all>\n"), "{shown}");
    }
}
