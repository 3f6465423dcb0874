//! How often the laws were tried, by type and host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use provision_core::testing::Verdicts;
use serde_json::{Value, json};

/// What the laws came to on the hosts of one kind.
pub struct Column {
    pub host: String,
    /// By type: how often laws were tried, and how many cases were not.
    counts: BTreeMap<String, (u64, u64)>,
    kept: bool,
    /// Each law, and each breach.
    told: String,
}

impl Column {
    pub fn of(host: &str, verdicts: &Verdicts) -> Column {
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for verdict in verdicts.entries() {
            let count = counts.entry(verdict.of.to_owned()).or_default();
            count.0 += verdict.trials as u64;
            count.1 = verdicts.simulated_alone(verdict.of) as u64;
        }
        Column { host: host.to_owned(), counts, kept: verdicts.all_kept(), told: verdicts.to_string() }
    }

    /// Fails if a law is broken, or if no law was tried for a type.
    pub fn assert(&self) -> Result<(), String> {
        if !self.kept {
            return Err(format!("{}\n{}", self.host, self.told));
        }
        match self.counts.iter().find(|(_, (trials, _))| *trials == 0) {
            Some((name, _)) => Err(format!("{}: no law was tried for the type {name}", self.host)),
            None if self.counts.is_empty() => Err(format!("{}: no law was tried", self.host)),
            None => Ok(()),
        }
    }

    /// For the program outside of a booted host.
    pub fn to_json(&self) -> String {
        json!({ "counts": self.counts, "kept": self.kept, "told": self.told }).to_string()
    }

    pub fn from_json(host: &str, text: &str) -> Result<Column, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("{error} in {text:?}"))?;
        let counts = serde_json::from_value(value["counts"].clone()).map_err(|error| error.to_string())?;
        let told = value["told"].as_str().unwrap_or_default().to_owned();
        Ok(Column { host: host.to_owned(), counts, kept: value["kept"] == true, told })
    }
}

/// A line for each type; `+2` after a number says that two cases are for simulated hosts alone.
pub fn table(columns: &[Column]) -> String {
    let types: BTreeSet<&String> = columns.iter().flat_map(|column| column.counts.keys()).collect();
    let mut text = format!("{:16}", "trials of laws");
    for column in columns {
        let _ = write!(text, " {:>18}", column.host);
    }
    text.push('\n');
    for name in types {
        let _ = write!(text, "{name:16}");
        for column in columns {
            let cell = match column.counts.get(name) {
                Some((trials, 0)) => trials.to_string(),
                Some((trials, alone)) => format!("{trials} +{alone}"),
                None => String::new(),
            };
            let _ = write!(text, " {cell:>18}");
        }
        text.push('\n');
    }
    text
}
