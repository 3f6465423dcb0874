//! The syntax of systemd's configuration files: assignments, as systemd.syntax(7) has them, numbers and spans of time.

/// An assignment: section, key and value.
pub(crate) type Assignment<'a> = (&'a str, &'a str, &'a str);

/// The assignments of a text, in order; `None` if a line is none, or goes on in the next one.
pub(crate) fn assignments(text: &str) -> Option<Vec<Assignment<'_>>> {
    if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return None;
    }
    let (mut assignments, mut section) = (Vec::new(), "");
    for line in text.split('\n').map(trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.strip_suffix(']')?;
        } else {
            let (key, value) = line.split_once('=').filter(|_| !line.ends_with('\\'))?;
            assignments.push((section, trim(key), trim(value)));
        }
    }
    Some(assignments)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A number without sign and unit.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Numbers with units; see systemd.time(7). `m` (minutes) and `M` (months) are too easily taken for one another.
pub(crate) fn is_span(text: &str) -> bool {
    const UNITS: &str = " us usec ms msec s sec second seconds min minute minutes h hr hour hours d day days \
                         w week weeks month months y year years ";
    let mut rest = text;
    while !rest.is_empty() {
        let (amount, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let unit_end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let is_unit = UNITS.contains(&format!(" {unit} ")) && !unit.is_empty();
        if number(amount).is_none_or(|amount| amount > u64::from(u32::MAX))
            || !(is_unit || unit.is_empty() && text == amount)
        {
            return false;
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    !text.is_empty() && !text.ends_with(' ')
}
