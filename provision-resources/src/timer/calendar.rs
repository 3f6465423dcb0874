//! Calendar events: systemd.time(7), and `calendar_spec_from_string()` in systemd's shared/calendarspec.c.

/// A calendar event.
pub(super) struct Event<'a> {
    /// The time zone that it names, but for UTC.
    pub(super) zone: Option<&'a str>,
    /// Monday is 0.
    weekdays: Field,
    years: Field,
    months: Field,
    days: Field,
    /// Whether days are counted from the end of the month.
    from_end: bool,
}

/// Ranges with their steps; none of them is every value.
type Field = Vec<(u64, u64, u64)>;

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The last microsecond of a minute.
const SECONDS: u64 = 59_999_999;

/// Shorthands, of which misspelt ones that systemd takes as well are left out.
const WORDS: [&str; 10] = [
    "minutely",
    "hourly",
    "daily",
    "monthly",
    "weekly",
    "yearly",
    "annually",
    "quarterly",
    "semiannually",
    "biannually",
];

/// What is wrong with a calendar event, and what helps.
pub(super) fn mistake(text: &str) -> Option<(String, &'static str)> {
    let help = match text.strip_prefix('@') {
        Some(word) if WORDS.contains(&word) => "systemd writes it without `@`",
        _ if text.split_whitespace().count() == 5 => {
            "cron's `30 3 * * 1-5` is \"Mon..Fri 03:30\" here, and `*/15 * * * *` is \"*:0/15\""
        }
        _ => "such as \"daily\", \"*-*-* 03:30\", \"Mon..Fri 9:00\", \"*:0/15\" or \"*-*-01 00:00 UTC\"",
    };
    match parse(text) {
        None => Some((format!("{text:?} is not a calendar event"), help)),
        Some(event) => event.is_never().then(|| (format!("{text:?} never comes"), "correct the date")),
    }
}

/// Reads a calendar event; `None` if systemd would not.
pub(super) fn parse(text: &str) -> Option<Event<'_>> {
    let (event, zone) = text.rsplit_once(' ').unwrap_or((text, ""));
    if zone.eq_ignore_ascii_case("utc") {
        return without_zone(event);
    }
    let is_zone = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    without_zone(text).or_else(|| {
        let is_zone = zone.starts_with(|first: char| first.is_ascii_uppercase()) && zone.chars().all(is_zone);
        Some(Event { zone: Some(zone), ..without_zone(event).filter(|_| is_zone)? })
    })
}

fn without_zone(text: &str) -> Option<Event<'static>> {
    let any = || Event { zone: None, weekdays: vec![], years: vec![], months: vec![], days: vec![], from_end: false };
    if WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(any());
    }
    let mut words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut event = any();
    if words.is_empty() || text.starts_with(' ') || text.ends_with(' ') {
        return None;
    }
    if words[0].starts_with(|first: char| first.is_ascii_alphabetic()) {
        event.weekdays = words.remove(0).split(',').map(weekdays).collect::<Option<_>>()?;
    }
    if words.last().is_some_and(|word| word.contains(':')) {
        let parts: Vec<&str> = words.pop()?.split(':').collect();
        let ([hours, minutes] | [hours, minutes, _]) = parts[..] else { return None };
        field(hours, 0, 23, false)?;
        field(minutes, 0, 59, false)?;
        field(parts.get(2).unwrap_or(&"0"), 0, SECONDS, false)?;
    }
    if let Some(date) = words.pop() {
        let (start, days) = date.rsplit_once(['-', '~'])?;
        event.from_end = date[start.len()..].starts_with('~');
        let (years, months) = start.rsplit_once('-').unwrap_or(("*", start));
        event.years = field(years, 0, 2199, false)?.into_iter().map(full_years).collect::<Option<_>>()?;
        event.months = field(months, 1, 12, false)?;
        // No month is sure to have more than 28 days, and systemd takes off another three for each further entry.
        let most = if event.from_end { 31u64.saturating_sub(3 * days.split(',').count() as u64) } else { 31 };
        event.days = field(days, 1, most, event.from_end)?;
    }
    words.is_empty().then_some(event)
}

fn weekdays(part: &str) -> Option<(u64, u64, u64)> {
    let number = |word: &str| {
        let word = word.to_ascii_lowercase();
        (0u64..).zip(WEEKDAYS).find(|(_, day)| *day == word || day[..3] == word).map(|(number, _)| number)
    };
    let (from, to) = part.split_once("..").or_else(|| part.split_once('-')).unwrap_or((part, part));
    let (from, to) = (number(from)?, number(to)?);
    (from <= to).then_some((from, to, 1))
}

/// A list of numbers, ranges and steps: `*`, `6,18`, `1..7`, `0/15`, `9..17/2`. Of seconds there are fractions.
fn field(text: &str, least: u64, most: u64, from_end: bool) -> Option<Field> {
    if text == "*" {
        return Some(Field::new());
    }
    let in_range = |text: &str| number(text, most).filter(|number| (least..=most).contains(number));
    let one = |part: &str| {
        let Some((range, step)) = part.split_once('/') else {
            let (from, to) = part.split_once("..").unwrap_or((part, part));
            let (from, to) = (in_range(from)?, in_range(to)?);
            return (from <= to).then_some((from, to, 1));
        };
        let step = number(step, most).filter(|step| *step > 0)?;
        let (from, to) = match range.split_once("..") {
            Some((from, to)) => (in_range(from)?, in_range(to)?),
            // From the end of a month a step leads towards it.
            None if from_end => (least + (in_range(range)? - least) % step, in_range(range)?),
            None => (in_range(range)?, most),
        };
        // A step has to be taken once.
        (from + step <= to).then_some((from, to, step))
    };
    text.split(',').map(one).collect()
}

/// A number; one of seconds in microseconds.
fn number(text: &str, most: u64) -> Option<u64> {
    let digits = |text: &str| {
        let are_digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| are_digits)
    };
    if most != SECONDS {
        return digits(text);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(&format!("{fraction:0<6}"))
        .filter(|_| fraction.len() <= 6 && !fraction.is_empty())
        .zip(digits(whole))
        .map(|(fraction, whole)| whole * 1_000_000 + fraction)
}

/// Years of two digits, as systemd completes them; `None` of years before 1970.
fn full_years((from, to, step): (u64, u64, u64)) -> Option<(u64, u64, u64)> {
    let full = |year: u64| match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        _ => year,
    };
    let (from, to) = (full(from), full(to));
    (from >= 1970 && from <= to).then_some((from, to, step))
}

impl Event<'_> {
    /// Whether no day of those that systemd knows of fits.
    fn is_never(&self) -> bool {
        // 1970 began on a Thursday.
        let mut weekday = 3;
        for year in 1970..2200u64 {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for month in 1..=12 {
                let length = match month {
                    2 => 28 + u64::from(is_leap),
                    4 | 6 | 9 | 11 => 30,
                    _ => 31,
                };
                for day in 1..=length {
                    // The last day of a month is its first from the end.
                    let counted = if self.from_end { length + 1 - day } else { day };
                    let fits =
                        [(&self.weekdays, weekday), (&self.years, year), (&self.months, month), (&self.days, counted)];
                    if fits.into_iter().all(|(field, value)| has(field, value)) {
                        return false;
                    }
                    weekday = (weekday + 1) % 7;
                }
            }
        }
        true
    }
}

fn has(field: &Field, value: u64) -> bool {
    let is_in =
        |(from, to, step): &(u64, u64, u64)| (*from..=*to).contains(&value) && (value - from).is_multiple_of(*step);
    field.is_empty() || field.iter().any(is_in)
}
