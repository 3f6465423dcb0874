use super::*;
use proptest::prelude::*;
use serde_json::json;

fn nasty() -> Value {
    json!({
        "zebra": "last",
        "words": ["yes", "no", "on", "off", "y", "null", "~", "", "1.0", "0x1f", "012", "1e3", "2001-01-01", "12:30:45"],
        "signs": ["- a", "a: b", "a #b", "#a", "'", "\"", "[x]", "{x}", "&a", "*a", "!a", "%a", "@a", "`a", "a\\b", " a "],
        "lines": "first\nsecond\n\n",
        "long": "word ".repeat(30).trim_end(),
        "tab": "a\tb",
        "unicode": "Grüße \u{1f600} \u{feff} \u{2028}",
        "numbers": [0, -1, 9_007_199_254_740_993_i64, 1.5, -0.1],
        "yes": true,
        "empty": { "list": [], "record": {} },
        "": "empty key",
        "a.b c": "quoted key",
        "nested": { "b": [{ "x": 1, "a": [[1], [2]] }], "a": { "c": false } },
    })
}

fn record(value: Value) -> Record {
    serde_json::from_value(value).unwrap()
}

fn messages(mistakes: Vec<AttributeError>) -> Vec<String> {
    mistakes.into_iter().map(|mistake| format!("{}: {}", mistake.path.join("."), mistake.message)).collect()
}

#[test]
fn a_nasty_value_as_json() {
    insta::assert_snapshot!(json(&nasty()).unwrap(), @r##"
    {
      "": "empty key",
      "a.b c": "quoted key",
      "empty": {
        "list": [],
        "record": {}
      },
      "lines": "first\nsecond\n\n",
      "long": "word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word",
      "nested": {
        "a": {
          "c": false
        },
        "b": [
          {
            "a": [
              [
                1
              ],
              [
                2
              ]
            ],
            "x": 1
          }
        ]
      },
      "numbers": [
        0,
        -1,
        9007199254740993,
        1.5,
        -0.1
      ],
      "signs": [
        "- a",
        "a: b",
        "a #b",
        "#a",
        "'",
        "\"",
        "[x]",
        "{x}",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a\\b",
        " a "
      ],
      "tab": "a\tb",
      "unicode": "Grüße 😀 ﻿  ",
      "words": [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "null",
        "~",
        "",
        "1.0",
        "0x1f",
        "012",
        "1e3",
        "2001-01-01",
        "12:30:45"
      ],
      "yes": true,
      "zebra": "last"
    }
    "##);
}

#[test]
fn a_nasty_value_as_yaml() {
    insta::assert_snapshot!(yaml(&nasty()).unwrap(), @r##"
    "": empty key
    a.b c: quoted key
    empty:
      list: []
      record: {}
    lines: |+
      first
      second
      
    long: word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word
    nested:
      a:
        c: false
      b:
      - a:
        - - 1
        - - 2
        x: 1
    numbers:
    - 0
    - -1
    - 9007199254740993
    - 1.5
    - -0.1
    signs:
    - "- a"
    - "a: b"
    - "a #b"
    - "#a"
    - "'"
    - "\""
    - "[x]"
    - "{x}"
    - "&a"
    - "*a"
    - "!a"
    - "%a"
    - "@a"
    - "`a"
    - a\b
    - " a "
    tab: "a\tb"
    unicode: "Grüße 😀 \uFEFF \L"
    words:
    - "yes"
    - "no"
    - "on"
    - "off"
    - "y"
    - "null"
    - "~"
    - ""
    - "1.0"
    - "0x1f"
    - "012"
    - "1e3"
    - "2001-01-01"
    - "12:30:45"
    "yes": true
    zebra: last
    "##);
    assert_eq!(yaml(&json!(null)).unwrap(), "null\n");
    assert_eq!(yaml(&json!({})).unwrap(), "{}\n");
}

#[test]
fn a_nasty_value_as_toml() {
    insta::assert_snapshot!(toml(&record(nasty())).unwrap(), @r##"
    "" = "empty key"
    "a.b c" = "quoted key"
    lines = """
    first
    second

    """
    long = "word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word"
    numbers = [
        0,
        -1,
        9007199254740993,
        1.5,
        -0.1,
    ]
    signs = [
        "- a",
        "a: b",
        "a #b",
        "#a",
        "'",
        '"',
        "[x]",
        "{x}",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        'a\b',
        " a ",
    ]
    tab = "a\tb"
    unicode = "Grüße 😀 ﻿  "
    words = [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "null",
        "~",
        "",
        "1.0",
        "0x1f",
        "012",
        "1e3",
        "2001-01-01",
        "12:30:45",
    ]
    yes = true
    zebra = "last"

    [empty]
    list = []

    [empty.record]

    [nested.a]
    c = false

    [[nested.b]]
    a = [
        [1],
        [2],
    ]
    x = 1
    "##);
}

#[test]
fn toml_has_no_null_and_no_large_integers() {
    let mistakes = toml(&record(json!({ "a": null, "b": { "c": [1, null] }, "d": u64::MAX }))).unwrap_err();
    insta::assert_debug_snapshot!(messages(mistakes), @r#"
    [
        "toml.a: TOML has no null",
        "toml.b.c.1: TOML has no null",
        "toml.d: 18446744073709551615 is too large for TOML, whose integers have 64 bits",
    ]
    "#);
}

#[test]
fn a_value_as_ini() {
    let value = json!({
        "Service": { "ExecStart": ["", "/usr/bin/true -x = y ; #"], "Restart": "always", "Nice": -5, "Enabled": true },
        "remote \"origin\"": {},
        "top": 1.5,
        "also": ["a", "b"],
        "none": [],
    });
    insta::assert_snapshot!(ini(&record(value)).unwrap(), @r#"
    also=a
    also=b
    top=1.5

    [Service]
    Enabled=true
    ExecStart=
    ExecStart=/usr/bin/true -x = y ; #
    Nice=-5
    Restart=always

    [remote "origin"]
    "#);
    assert_eq!(ini(&record(json!({}))).unwrap(), "");
}

#[test]
fn what_ini_cannot_say_is_refused() {
    let value = json!({
        "a]": { "k": null },
        "": "empty key",
        "s": { "=": 1, "k": { "deep": 1 }, "l": [[1]], "m": "two\nlines", "n": " padded" },
        "#comment": 1,
    });
    insta::assert_debug_snapshot!(messages(ini(&record(value)).unwrap_err()), @r##"
    [
        "ini.: \"\" cannot be a key",
        "ini.#comment: \"#comment\" cannot be a key",
        "ini.a]: \"a]\" cannot be the name of a section",
        "ini.a].k: INI has no null",
        "ini.s.=: \"=\" cannot be a key",
        "ini.s.k: INI has no place for a value within a value",
        "ini.s.l.0: INI has no place for a value within a value",
        "ini.s.m: a value of INI is one line",
        "ini.s.n: white space around a value is not read back from INI",
    ]
    "##);
}

/// Any value; without null for TOML.
fn values(null: bool) -> BoxedStrategy<Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[ -~\n\t\r]{0,20}",
        "[a \n:#-]{0,12}",
        Just("yes".to_owned()),
        Just("~".to_owned()),
        Just("1_000".to_owned()),
    ];
    let scalar = prop_oneof![
        text.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Not just any float: serde_json reads them back to within one digit only.
        any::<i32>().prop_map(|float| (f64::from(float) / 64.0).into()),
    ];
    let leaf = if null { prop_oneof![scalar, Just(Value::Null)].boxed() } else { scalar.boxed() };
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[ -~]{0,6}|\\PC{0,3}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

fn records(null: bool) -> impl Strategy<Value = Record> {
    proptest::collection::btree_map("[ -~]{0,6}", values(null), 0..5)
}

/// The same value with the fields of all its records the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(record) => record.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect(),
        Value::Array(values) => values.iter().map(reversed).collect(),
        scalar => scalar.clone(),
    }
}

proptest! {
    #[test]
    fn json_is_read_back(value in values(true)) {
        let text = json(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        prop_assert!(text.ends_with('\n'));
    }

    #[test]
    fn toml_is_read_back(record in records(false)) {
        let text = toml(&record).unwrap();
        prop_assert_eq!(::toml::from_str::<Record>(&text).unwrap(), record, "{}", text);
        prop_assert!(text.is_empty() || text.ends_with('\n'));
    }

    #[test]
    fn yaml_is_read_back(value in values(true)) {
        let text = yaml(&value).unwrap();
        prop_assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value, "{}", text);
        prop_assert!(text.ends_with('\n'));
    }

    #[test]
    fn the_order_of_fields_makes_no_difference(value in values(true)) {
        prop_assert_eq!(json(&value).unwrap(), json(&reversed(&value)).unwrap());
        prop_assert_eq!(yaml(&value).unwrap(), yaml(&reversed(&value)).unwrap());
    }

    #[test]
    fn ini_is_lines(record in records(true)) {
        if let Ok(text) = ini(&record) {
            let line = |line: &str| line.is_empty() || line.starts_with('[') && line.ends_with(']') || line.contains('=');
            prop_assert!(text.lines().all(line), "{}", text);
        }
    }
}
