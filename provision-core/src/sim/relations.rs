//! What packages say of each other: `Depends` and its kin, see `deb-control(5)` and Debian policy section 7.

use crate::version::Version;

/// One package that is named, with bounds of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) name: String,
    bound: Option<(Operator, Version)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Earlier,
    EarlierOrEqual,
    Exactly,
    LaterOrEqual,
    Later,
}

impl Relation {
    /// Whether a version is meant.
    pub(crate) fn allows(&self, version: &str) -> bool {
        let Some((operator, bound)) = &self.bound else { return true };
        let version = &Version::new(version);
        match operator {
            Operator::Earlier => version < bound,
            Operator::EarlierOrEqual => version <= bound,
            Operator::Exactly => version == bound,
            Operator::LaterOrEqual => version >= bound,
            Operator::Later => version > bound,
        }
    }

    /// Whether a package that provides a name, perhaps with a version, is meant.
    pub(crate) fn allows_provided(&self, version: Option<&str>) -> bool {
        match version {
            Some(version) => self.allows(version),
            // Without a version it fulfils no bound; policy section 7.5.
            None => self.bound.is_none(),
        }
    }

    fn parse(text: &str) -> Option<Relation> {
        let (name, rest) = match text.find(['(', ' ', '[']) {
            Some(place) => (&text[..place], text[place..].trim()),
            None => (text, ""),
        };
        let name = name.split(':').next().unwrap_or(name);
        if name.is_empty() {
            return None;
        }
        let bound = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).and_then(|(bound, _)| {
            let place = bound.find(|c: char| !"<>=".contains(c))?;
            let operator = match &bound[..place] {
                "<<" => Operator::Earlier,
                "<=" | "<" => Operator::EarlierOrEqual,
                "=" => Operator::Exactly,
                ">=" | ">" => Operator::LaterOrEqual,
                ">>" => Operator::Later,
                _ => return None,
            };
            Some((operator, Version::new(bound[place..].trim())))
        });
        Some(Relation { name: name.to_owned(), bound })
    }
}

/// A field such as `Depends`: what is to be fulfilled, each with its alternatives.
pub(crate) fn parse(field: &str) -> Vec<Vec<Relation>> {
    let groups = field.split(',').map(|group| {
        let alternatives = group.split('|').map(str::trim);
        alternatives.filter_map(Relation::parse).collect::<Vec<_>>()
    });
    groups.filter(|group| !group.is_empty()).collect()
}

/// A field such as `Provides`: names, with their versions.
pub(crate) fn provided(field: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    field.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
        let (name, rest) = part.split_once(' ').unwrap_or((part, ""));
        let version = rest.trim().strip_prefix("(=").and_then(|rest| rest.strip_suffix(')')).map(str::trim);
        (name.split(':').next().unwrap_or(name), version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn alternatives_and_bounds_are_read() {
        let groups =
            parse("libc6 (>= 2.34), default-mta | mail-transport-agent, perl:any, x (<< 2~), y (= 1-1) [amd64]");
        let names: Vec<Vec<&str>> =
            groups.iter().map(|group| group.iter().map(|relation| relation.name.as_str()).collect()).collect();
        assert_eq!(
            names,
            [vec!["libc6"], vec!["default-mta", "mail-transport-agent"], vec!["perl"], vec!["x"], vec!["y"]]
        );
        assert!(groups[0][0].allows("2.36-9") && !groups[0][0].allows("2.31"));
        assert!(groups[3][0].allows("1.9") && !groups[3][0].allows("2"));
        assert!(groups[4][0].allows("1-1") && !groups[4][0].allows("1-2"));
        assert!(!groups[0][0].allows_provided(None) && groups[1][1].allows_provided(None));
    }

    #[test]
    fn provided_names_may_have_versions() {
        let all: Vec<_> = provided("httpd, nginx-abi-1.22.1-7, libapache2 (= 2.4)").collect();
        assert_eq!(all, [("httpd", None), ("nginx-abi-1.22.1-7", None), ("libapache2", Some("2.4"))]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z|,() <>=.:\\[\\]0-9é-]{0,40}") {
            parse(&text);
            provided(&text).count();
        }
    }
}
