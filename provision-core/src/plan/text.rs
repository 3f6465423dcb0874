//! A plan as plain text: for snapshots, and for what tests say.

use std::fmt;

use serde_json::Value;

use super::{Change, Plan, Step, Verdict};
use crate::effect::{Content, Effect};

/// What is to happen, a paragraph a resource; what is in sync is left out.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let busy = self.steps.iter().filter(|step| step.verdict != Verdict::InSync || step.reaction.is_some());
        let mut any = false;
        for step in busy {
            any = true;
            step.fmt(f)?;
        }
        for planned in &self.transactions {
            if let Some(preview) = planned.preview.as_ref().filter(|preview| !preview.changes.is_empty()) {
                let names: Vec<&str> = preview.changes.iter().map(|change| change.name.as_str()).collect();
                writeln!(f, "packages: {}", names.join(" "))?;
            }
        }
        if any { Ok(()) } else { writeln!(f, "nothing to do") }
    }
}

/// What is to happen to one resource.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::InSync => writeln!(f, "  {}", self.id)?,
            Verdict::Change => writeln!(f, "~ {}", self.id)?,
            Verdict::Deferred { because } => writeln!(f, "? {}: decided once {because}", self.id)?,
            Verdict::Failed { error } => {
                writeln!(f, "! {}: {error}", self.id)?;
                error.cause().into_iter().flat_map(str::lines).try_for_each(|line| writeln!(f, "    | {line}"))?;
                error.hint().into_iter().try_for_each(|hint| writeln!(f, "    hint: {hint}"))?;
            }
            Verdict::Skipped { because } => writeln!(f, "! {}: skipped, because of {because}", self.id)?,
        }
        self.changes.iter().try_for_each(|change| change.fmt(f))?;
        if let Some(reaction) = &self.reaction {
            let effects: Vec<String> = reaction.effects.iter().map(Effect::to_string).collect();
            let causes: Vec<String> = reaction
                .causes
                .iter()
                .map(ToString::to_string)
                .chain(reaction.pending_notifications.iter().map(|pending| format!("run {}", pending.run)))
                .collect();
            let why = if reaction.certain { "because of" } else { "if there is a change of" };
            writeln!(f, "    then {} {why} {}", effects.join(", "), causes.join(", "))?;
        }
        Ok(())
    }
}

/// An attribute that differs: in a line, or as the lines that differ.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = match (&self.from, &self.to) {
            (Value::String(from), Value::String(to)) => Some((from.as_str(), to.as_str())),
            (Value::Null, Value::String(to)) => Some(("", to.as_str())),
            (Value::String(from), Value::Null) => Some((from.as_str(), "")),
            _ => None,
        };
        match texts.filter(|(from, to)| from.contains('\n') || to.contains('\n')) {
            Some((from, to)) => {
                writeln!(f, "    {}:", self.label())?;
                differing_lines(from, to).iter().try_for_each(|line| writeln!(f, "      {line}"))
            }
            None if self.from.is_null() => writeln!(f, "    {}: {}", self.label(), short(&self.to)),
            None => writeln!(f, "    {}: {} → {}", self.label(), short(&self.from), short(&self.to)),
        }
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The lines of two texts without those at the beginning and the end that are the same. A last line without an end differs
/// from one with it.
fn differing_lines(from: &str, to: &str) -> Vec<String> {
    let lines = |text: &'_ str| -> Vec<String> {
        let mark = |line: &str| match line.strip_suffix('\n') {
            Some(line) => line.to_owned(),
            None if Content::is_placeholder(line) => line.to_owned(),
            None => format!("{line} (no newline at the end)"),
        };
        text.split_inclusive('\n').map(mark).collect()
    };
    let (from, to) = (lines(from), lines(to));
    let same = |mut pairs: Box<dyn Iterator<Item = (&String, &String)> + '_>| {
        let mut count = 0;
        while pairs.next().is_some_and(|(a, b)| a == b) {
            count += 1;
        }
        count
    };
    let head = same(Box::new(from.iter().zip(&to)));
    let tail = same(Box::new(from[head..].iter().rev().zip(to[head..].iter().rev())));
    let gone = from[head..from.len() - tail].iter().map(|line| format!("-{line}"));
    gone.chain(to[head..to.len() - tail].iter().map(|line| format!("+{line}"))).collect()
}
