//! Control data: paragraphs of fields, and relations between packages; see `deb-control(5)`.

use std::collections::BTreeMap;

/// A paragraph: fields by their names, continuation lines joined by line ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph(BTreeMap<String, String>);

impl Paragraph {
    /// The text of a field; empty if there is none.
    pub fn get(&self, field: &str) -> &str {
        self.0.get(field).map(String::as_str).unwrap_or_default()
    }

    /// The number in a field; zero if there is none.
    pub fn number(&self, field: &str) -> u64 {
        self.get(field).parse().unwrap_or_default()
    }

    /// What the package cannot do without: `Pre-Depends` and `Depends` in one.
    pub fn depends(&self) -> String {
        let fields = ["Pre-Depends", "Depends"].map(|field| self.get(field));
        fields.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the package may not be removed.
    pub fn is_essential(&self) -> bool {
        self.get("Essential") == "yes" || self.get("Protected") == "yes"
    }
}

/// The paragraphs of a text.
pub fn paragraphs(text: &str) -> Vec<Paragraph> {
    let mut all = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                all.push(Paragraph(std::mem::take(&mut fields)));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = fields.get_mut(&last) {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.to_owned();
            fields.insert(last.clone(), value.trim().to_owned());
        }
    }
    all
}

/// A relation: alternatives, of which the names alone matter here, because an archive is consistent in its versions.
pub type Alternatives = Vec<String>;

/// The relations of a field such as `Depends` or `Provides`.
pub fn relations(field: &str) -> Vec<Alternatives> {
    let name = |alternative: &str| {
        let end = alternative.find([' ', '(', '[', '<', ':', '\n']).unwrap_or(alternative.len());
        alternative[..end].to_owned()
    };
    field
        .split(',')
        .map(|relation| relation.split('|').map(|one| name(one.trim())).filter(|one| !one.is_empty()).collect())
        .filter(|alternatives: &Alternatives| !alternatives.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_have_fields_that_go_on() {
        let all = paragraphs("Package: a\nDepends: b,\n c\nSize: 12\n\n\nPackage: d\nEssential: yes\n");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("Depends"), "b,\nc");
        assert_eq!(all[0].number("Size"), 12);
        assert!(all[1].is_essential() && !all[0].is_essential());
    }

    #[test]
    fn what_is_needed_before_comes_first() {
        let all = paragraphs("Package: a\nDepends: b\nPre-Depends: c (>= 1)\n");
        assert_eq!(all[0].depends(), "c (>= 1), b");
    }

    #[test]
    fn relations_are_names() {
        let found =
            relations("libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0, python3:any, x [amd64] <!nocheck>,\ny(=1)");
        assert_eq!(
            found,
            [vec!["libc6"], vec!["debconf", "debconf-2.0"], vec!["python3"], vec!["x"], vec!["y"]]
                .map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
        assert!(relations("").is_empty());
    }
}
