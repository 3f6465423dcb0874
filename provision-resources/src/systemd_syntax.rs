//! Values of systemd's settings: numbers and spans of time.

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
