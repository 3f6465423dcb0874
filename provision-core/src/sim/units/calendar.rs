//! Points and spans of time as units write them: `systemd.time(7)`.

/// A span of time in microseconds: `15min`, `1d 12h`, `90` (seconds). `None` if it is none.
pub(crate) fn time_span(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number * seconds_of(&rest[..letters])?;
        rest = rest[letters..].trim_start();
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "spans of units are far below the limit"
    )]
    Some((total * 1_000_000.0) as u64)
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "us" | "usec" => 0.000_001,
        "ms" | "msec" => 0.001,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "M" | "month" | "months" => 2_629_800.0,
        "y" | "year" | "years" => 31_557_600.0,
        _ => return None,
    })
}

/// When a timer elapses by the calendar, in UTC. The forms with `~` and other time zones are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    /// Monday is 0.
    weekdays: Field,
    years: Field,
    months: Field,
    days: Field,
    hours: Field,
    minutes: Field,
    seconds: Field,
}

/// Ranges with their steps; none of them is every value.
type Field = Vec<(i64, i64, i64)>;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const DAY: i64 = 86_400;

impl Calendar {
    /// Reads a calendar event. `None` if it is of a form that is not known here.
    pub(crate) fn parse(text: &str) -> Option<Calendar> {
        let text = text.trim();
        let text = match text.strip_suffix(" UTC").unwrap_or(text) {
            "minutely" => "*-*-* *:*:00",
            "hourly" => "*-*-* *:00:00",
            "daily" => "*-*-* 00:00:00",
            "weekly" => "Mon *-*-* 00:00:00",
            "monthly" => "*-*-01 00:00:00",
            "quarterly" => "*-01,04,07,10-01 00:00:00",
            "semiannually" => "*-01,07-01 00:00:00",
            "yearly" | "annually" => "*-01-01 00:00:00",
            text => text,
        };
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let weekdays = match words.first() {
            Some(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => weekdays(words.remove(0))?,
            _ => Field::new(),
        };
        let time = words.iter().position(|word| word.contains(':')).map(|place| words.remove(place));
        let date = words.pop().unwrap_or("*-*-*");
        if !words.is_empty() {
            return None;
        }
        let mut date: Vec<&str> = date.split('-').collect();
        if date.len() == 2 {
            date.insert(0, "*");
        }
        let mut time: Vec<&str> = time.unwrap_or("00:00:00").split(':').collect();
        if time.len() == 2 {
            time.push("00");
        }
        let ([years, months, days], [hours, minutes, seconds]) = (date[..].try_into().ok()?, time[..].try_into().ok()?);
        Some(Calendar {
            weekdays,
            years: field(years, 2200)?,
            months: field(months, 12)?,
            days: field(days, 31)?,
            hours: field(hours, 23)?,
            minutes: field(minutes, 59)?,
            seconds: field(seconds, 59)?,
        })
    }

    /// The first time after another, both in seconds since 1970. `None` if there is none within fifty years.
    pub(crate) fn next(&self, after: i64) -> Option<i64> {
        let first = (after + 1).div_euclid(DAY);
        (first..first + 50 * 366).filter(|day| self.has_day(*day)).find_map(|day| {
            let from = (after + 1 - day * DAY).max(0);
            self.time_from(from).map(|second| day * DAY + second)
        })
    }

    fn has_day(&self, day: i64) -> bool {
        let (year, month, day_of_month) = date_of(day);
        // 1970 began on a Thursday.
        has(&self.weekdays, (day + 3).rem_euclid(7))
            && has(&self.years, year)
            && has(&self.months, month)
            && has(&self.days, day_of_month)
    }

    /// The first time of a day at or after a second of it.
    fn time_from(&self, from: i64) -> Option<i64> {
        let minute = |minute: i64| {
            let seconds = (0..60).filter(|second| has(&self.seconds, *second));
            seconds.map(move |second| minute * 60 + second).find(|time| *time >= from)
        };
        let hours = (from / 3600..24).filter(|hour| has(&self.hours, *hour));
        let minutes = hours.flat_map(|hour| (0..60).map(move |minute| hour * 60 + minute));
        minutes.filter(|at| *at >= from / 60 && has(&self.minutes, at % 60)).find_map(minute)
    }
}

fn has(field: &Field, value: i64) -> bool {
    field.is_empty()
        || field.iter().any(|(from, to, step)| (*from..=*to).contains(&value) && (value - from) % step == 0)
}

/// A list of numbers, ranges and steps: `*`, `6,18`, `1..7`, `0/15`.
fn field(text: &str, greatest: i64) -> Option<Field> {
    if text == "*" {
        return Some(Field::new());
    }
    let one = |part: &str| {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| (0..=greatest).contains(number));
        let (from, to) = match range.split_once("..") {
            _ if range == "*" => (0, greatest),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step.is_some() => (number(range)?, greatest),
            None => (number(range)?, number(range)?),
        };
        Some((from, to, step.unwrap_or(1)))
    };
    text.split(',').map(one).collect()
}

fn weekdays(text: &str) -> Option<Field> {
    let number = |word: &str| {
        let short = word.get(..3)?.to_ascii_lowercase();
        WEEKDAYS.iter().position(|day| *day == short).and_then(|place| i64::try_from(place).ok())
    };
    let one = |part: &str| match part.split_once("..") {
        Some((from, to)) => Some((number(from)?, number(to)?, 1)),
        None => Some((number(part)?, number(part)?, 1)),
    };
    text.split(',').map(one).collect()
}

/// Year, month and day of a day since 1970, by the Gregorian calendar; its years are counted from March on.
fn date_of(day: i64) -> (i64, i64, i64) {
    let days = day + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-01 00:00, a Thursday.
    const START: i64 = 1_767_225_600;

    #[test]
    fn spans_are_sums() {
        let seconds = |text| time_span(text).map(|micros| micros / 1_000_000);
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("15min"), Some(900));
        assert_eq!(seconds("1d 12h"), Some(129_600));
        assert_eq!(seconds("1h30min"), Some(5_400));
        assert_eq!((seconds("soon"), seconds("1 moon"), seconds("")), (None, None, None));
    }

    /// As `systemd-analyze calendar --base-time='2026-01-01 00:00 UTC'` of Debian 13 says.
    #[test]
    fn the_forms_of_debians_own_timers() {
        let next = |text: &str| Calendar::parse(text).unwrap().next(START).unwrap() - START;
        assert_eq!(next("daily"), DAY);
        assert_eq!(next("hourly"), 3_600);
        assert_eq!(next("weekly"), 4 * DAY);
        assert_eq!(next("monthly"), 31 * DAY);
        assert_eq!(next("yearly"), 365 * DAY);
        assert_eq!(next("*-*-* 6,18:00"), 6 * 3_600);
        assert_eq!(next("*-*-* 6:00"), 6 * 3_600);
        assert_eq!(next("Sun *-*-* 03:10:00"), 3 * DAY + 3 * 3_600 + 600);
        assert_eq!(next("*:0/15"), 900);
        assert_eq!(next("Mon..Fri 09:30"), 9 * 3_600 + 1_800);
        assert_eq!(next("*-02-29"), (365 + 365 + 31 + 28) * DAY);
        assert_eq!(next("2026-03-01"), 59 * DAY);
        for unknown in ["*-*~1", "soon", "daily Europe/Berlin", "25:00", "*-*-* 0/0:00"] {
            assert_eq!(Calendar::parse(unknown), None, "{unknown}");
        }
        assert_eq!(Calendar::parse("2020-01-01").unwrap().next(START), None, "it is over");
    }

    proptest! {
        #[test]
        fn the_next_time_is_later_and_the_next_but_one_too(
            after in 0i64..4_000_000_000,
            text in proptest::sample::select(&["daily", "weekly", "monthly", "*-*-* 6,18:00", "*:0/7", "Tue,Sat 1..3:10"][..]),
        ) {
            let calendar = Calendar::parse(text).unwrap();
            let first = calendar.next(after).unwrap();
            prop_assert!(first > after);
            prop_assert_eq!(calendar.next(first - 1), Some(first));
            prop_assert!(calendar.next(first).unwrap() > first);
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC*") {
            if let Some(calendar) = Calendar::parse(&text) {
                let _ = calendar.next(START);
            }
            let _ = time_span(&text);
        }
    }
}
