//! Patterns with `*` and `?`: `glob(7)`.

/// Whether a text fits a pattern.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let mut later = text.chars();
    match (first, later.next()) {
        ('*', None) => fits(rest, ""),
        ('*', Some(_)) => fits(rest, text) || fits(pattern, later.as_str()),
        ('?', Some(_)) => fits(rest, later.as_str()),
        (one, Some(other)) => one == other && fits(rest, later.as_str()),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signs_stand_for_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("at?.service", "atd.service", true),
            ("at?.service", "at.service", false),
            ("ab", "a", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_star_is_anything(before in "[a-zäß]{0,5}", middle in "\\PC{0,9}", after in "[a-z]{0,5}") {
            let (pattern, text) = (format!("{before}*{after}"), format!("{before}{middle}{after}"));
            prop_assert!(fits(&pattern, &text));
        }
    }
}
