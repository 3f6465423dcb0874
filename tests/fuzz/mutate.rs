//! Changes of valid inputs, drawn at random and always the same for a number.

use serde_json::{Map, Value, json};

/// Numbers that look like chance (`SplitMix64`).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64, number: u64) -> Chance {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than a number that is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A part of so many bytes: where it begins, and where it ends.
    fn part(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let most = if self.below(4) == 0 { length - from } else { (length - from).min(16) };
        (from, from + self.below(most + 1))
    }
}

/// Words that parsers take for something special.
const WORDS: [&str; 44] = [
    "0",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "1e308",
    "1e999",
    "-0.0",
    "NaN",
    "null",
    "true",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    ":",
    "::",
    "=",
    "/",
    "//",
    "..",
    "%",
    "%%i",
    "@",
    "*",
    "~",
    "\u{feff}",
    "\u{202e}",
    "ß",
    "🦀",
];

/// An input, changed a few times; sometimes not at all.
pub fn input(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = chance.of(corpus).clone();
    for _ in 0..chance.below(5) {
        if chance.below(2) == 0
            && let Some(changed) = as_data(&bytes, chance)
        {
            bytes = changed;
            continue;
        }
        change(&mut bytes, corpus, chance);
    }
    bytes.truncate(1 << 16);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) {
    let (from, to) = chance.part(bytes.len());
    match chance.below(11) {
        0 if !bytes.is_empty() => {
            let at = chance.below(bytes.len());
            bytes[at] ^= 1 << chance.below(8);
        }
        1 if !bytes.is_empty() => {
            let at = chance.below(bytes.len());
            bytes[at] = *chance.of(&[0, 1, b'0', b'9', b'\n', b'-', 0x7f, 0x80, 0xc0, 0xff]);
        }
        2 => bytes.truncate(from),
        3 => drop(bytes.drain(from..to)),
        4 => {
            // The same again, such as a line or a key that is there already.
            let part = bytes[from..to].to_vec();
            bytes.splice(from..from, part);
        }
        5 => {
            let line = bytes.split(|byte| *byte == b'\n').nth(chance.below(8)).unwrap_or_default().to_vec();
            let at = chance.below(bytes.len() + 1);
            bytes.splice(at..at, [&line[..], b"\n"].concat());
        }
        6 => {
            let other = chance.of(corpus);
            let (start, end) = chance.part(other.len());
            bytes.splice(from..to, other[start..end].to_vec());
        }
        7 => {
            // A number becomes another one.
            let Some(start) = (from..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) else { return };
            let end = (start..bytes.len()).find(|at| !bytes[*at].is_ascii_digit()).unwrap_or(bytes.len());
            bytes.splice(start..end, chance.of(&WORDS[..16]).bytes());
        }
        8 => {
            let (open, close) = *chance.of(&[("[", "]"), ("{\"a\":", "}"), ("(", ")"), ("{{", "}}"), ("\"", "\"")]);
            let depth = *chance.of(&[2, 130, 3_000]);
            let inside = bytes[from..to].to_vec();
            bytes
                .splice(from..to, [open.repeat(depth).into_bytes(), inside, close.repeat(depth).into_bytes()].concat());
        }
        9 => {
            let many = chance.of(&WORDS).repeat(*chance.of(&[10, 300, 5_000]));
            bytes.splice(from..to, many.into_bytes());
        }
        _ => drop(bytes.splice(from..to, chance.of(&WORDS).bytes())),
    }
}

/// The input as JSON in which one value is another.
fn as_data(bytes: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut data: Value = serde_json::from_slice(bytes).ok()?;
    let mut count = 0;
    count_values(&data, &mut count);
    let mut countdown = chance.below(count);
    let value = find(&mut data, &mut countdown)?;
    *value = another(value.take(), chance);
    serde_json::to_vec(&data).ok()
}

fn count_values(value: &Value, count: &mut usize) {
    *count += 1;
    match value {
        Value::Array(all) => all.iter().for_each(|value| count_values(value, count)),
        Value::Object(all) => all.values().for_each(|value| count_values(value, count)),
        _ => {}
    }
}

fn find<'v>(value: &'v mut Value, countdown: &mut usize) -> Option<&'v mut Value> {
    if *countdown == 0 {
        return Some(value);
    }
    *countdown -= 1;
    match value {
        Value::Array(all) => all.iter_mut().find_map(|value| find(value, countdown)),
        Value::Object(all) => all.values_mut().find_map(|value| find(value, countdown)),
        _ => None,
    }
}

fn another(value: Value, chance: &mut Chance) -> Value {
    match chance.below(9) {
        0 => Value::Null,
        1 => json!(chance.next() & 1 == 0),
        2 => json!(chance.of(&[0, 1, -1, i64::MAX, i64::MIN, 1 << 32, 65_536])),
        3 => json!(chance.of(&[0.5, -0.0, 1e300, f64::MIN_POSITIVE])),
        4 => json!(chance.of(&WORDS)),
        5 => json!([value.clone(), value]),
        6 => Value::Object(Map::from_iter([((*chance.of(&WORDS)).to_owned(), value)])),
        7 => match value {
            Value::String(text) => {
                let at = text.char_indices().map(|(at, _)| at).nth(chance.below(text.len())).unwrap_or(0);
                let (before, after) = text.split_at(at);
                json!(format!("{before}{}{after}", chance.of(&WORDS)))
            }
            Value::Object(mut fields) => {
                let name = fields.keys().nth(chance.below(fields.len())).cloned().unwrap_or_default();
                let inside = fields.remove(&name).unwrap_or_default();
                fields.insert(format!("{name}{}", chance.of(&WORDS)), inside);
                Value::Object(fields)
            }
            other => json!(other.to_string()),
        },
        _ => (0..*chance.of(&[3, 60, 100])).fold(value, |inside, _| json!([inside])),
    }
}
