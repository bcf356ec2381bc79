//! The rules for events: the rules for the name, for the number of properties, and for the items
//! of Charged events.

use std::collections::HashSet;

use super::{fold, trim};
use crate::records::rules::rejection::Rule;

pub static NAME_MISSING: Rule =
    Rule::new("Event name is mandatory", "Write a name into the event's column.");

pub static NAME_RESERVED: Rule = Rule::new(
    "Event name belongs to CleverTap restricted system events",
    "Choose another name: the product reserves this name.",
)
.with_help(|_| Some("choose another name".into()));

pub static NAME_TOO_LONG: Rule =
    Rule::new("Event name is longer than 512 characters", "Shorten the event's name.").with_help(
        |case| Some(format!("the name has {} characters", case.value?.chars().count()).into()),
    );

pub static NAME_CHARACTER: Rule = Rule::new(
    "Event name has a character that is not allowed",
    "Remove % > < ! | & . : ; $ ' \" \\ and control characters from the event's name.",
)
.with_help(|_| Some(r#"the characters %><!|&.:;$'"\ are not allowed in a name"#.into()));

pub static TOO_MANY_PROPERTIES: Rule = Rule::new(
    "Cannot have more than 100 event properties",
    "Fill fewer columns of the record, or split the record into two events.",
)
.with_limit(|limits| {
    Some(format!("Cannot have more than {} event properties", limits.max_event_properties).into())
});

pub static CHARGED_ITEMS: Rule = Rule::new(
    "Charged items are not supported in file imports",
    "Leave Items empty for Charged events, or give the column another name.",
)
.with_help(|_| Some("leave the cell empty".into()));

/// The maximum length of an event name, in characters.
const LONGEST_NAME: usize = 512;

/// The reserved names: the names of the product's own events.
const RESERVED: [&str; 26] = [
    "Notification Sent",
    "Notification Viewed",
    "Notification Clicked",
    "Notification Delivered",
    "Notification Replied",
    "Notification Bounced",
    "UTM Visited",
    "App Launched",
    "App Uninstalled",
    "App Version Changed",
    "Stayed",
    "Reply Sent",
    "Experiment Rendered",
    "Reachable By",
    "Identity Reset",
    "Identity Set",
    "Identity Error",
    "Geocluster Entered",
    "Geocluster Exited",
    "SCOutgoing",
    "SCIncoming",
    "SCEnd",
    "SCCampaignOptOut",
    "wzrk_d",
    "wzrk_fetch",
    "Web Page Viewed",
];

/// Returns whether `c` is not allowed in the name of an event or a property.
pub fn is_forbidden(c: char) -> bool {
    matches!(c, '%' | '>' | '<' | '!' | '|' | '&' | '.' | ':' | ';' | '$' | '\'' | '"' | '\\')
        || c.is_control()
}

/// The reserved event names. Case and spaces are ignored.
#[derive(Clone, Debug)]
pub struct ReservedNames(HashSet<String>);

impl ReservedNames {
    /// Creates the set of the product's own event names and the names in `more`.
    pub fn new(more: &[String]) -> Self {
        let names = RESERVED.into_iter().chain(more.iter().map(String::as_str));
        Self(names.map(fold).collect())
    }

    /// Returns the event name in a cell. The error is the first rule that the name breaks.
    pub fn name<'a>(&self, cell: &'a str) -> Result<&'a str, &'static Rule> {
        let name = trim(cell);
        if name.is_empty() {
            Err(&NAME_MISSING)
        } else if name.len() > LONGEST_NAME && name.chars().nth(LONGEST_NAME).is_some() {
            Err(&NAME_TOO_LONG)
        } else if name.contains(is_forbidden) {
            Err(&NAME_CHARACTER)
        } else if self.0.contains(&fold(name)) {
            Err(&NAME_RESERVED)
        } else {
            Ok(name)
        }
    }

    /// Returns all rules that the event name in a cell breaks. Only a name that is too long can
    /// break two rules.
    pub fn broken_rules(&self, cell: &str) -> impl Iterator<Item = &'static Rule> + use<> {
        let first = self.name(cell).err();
        let is_long = first.is_some_and(|rule| std::ptr::eq(rule, &NAME_TOO_LONG));
        let second = (is_long && trim(cell).contains(is_forbidden)).then_some(&NAME_CHARACTER);
        first.into_iter().chain(second)
    }
}

/// Returns whether `name` is the name of a Charged event, which may not have items.
pub fn is_charged(name: &str) -> bool {
    fold(name) == "charged"
}

/// Returns whether `property` is the name of the property with the items of a Charged event.
pub fn is_items(property: &str) -> bool {
    fold(property) == "items"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(cell: &str) -> Result<&str, &'static str> {
        ReservedNames::new(&["House Event".into()]).name(cell).map_err(Rule::text)
    }

    #[test]
    fn event_names_must_not_be_empty() {
        assert_eq!(name(" Purchased "), Ok("Purchased"));
        assert_eq!(name("Charged"), Ok("Charged"));
        for cell in ["", "  ", "\u{a0}"] {
            assert_eq!(name(cell), Err("Event name is mandatory"), "{cell:?}");
        }
    }

    #[test]
    fn product_names_are_reserved() {
        for reserved in RESERVED.iter().chain(&["House Event"]) {
            for cell in [reserved.to_string(), reserved.to_uppercase(), fold(reserved)] {
                let text = "Event name belongs to CleverTap restricted system events";
                assert_eq!(name(&cell), Err(text), "{cell:?}");
            }
        }
    }

    #[test]
    fn long_names_and_forbidden_characters_are_rejected() {
        let long = "é".repeat(512);
        assert_eq!(name(&long), Ok(&*long));
        assert_eq!(name(&(long.clone() + "x")), Err(NAME_TOO_LONG.text()));
        for c in r#"%><!|&.:;$'"\"#.chars() {
            assert_eq!(name(&format!("a{c}b")), Err(NAME_CHARACTER.text()), "{c:?}");
        }
        assert_eq!(name("a-b_c (d)/e"), Ok("a-b_c (d)/e"));
        let broken: Vec<_> = ReservedNames::new(&[]).broken_rules(&(long + "%")).collect();
        let texts: Vec<_> = broken.into_iter().map(Rule::text).collect();
        assert_eq!(texts, [NAME_TOO_LONG.text(), NAME_CHARACTER.text()]);
    }
}
