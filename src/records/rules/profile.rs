//! The rules for profiles: the four operations, and the properties with a special rule.

use super::{fold, is_dash, trim};
use crate::manifest::is_address;
use crate::records::profile_change::{Operation, Value};
use crate::records::rules::rejection::{Detail, Rule, RuleCase};
use crate::sanitize::is_unprintable;

pub static OPERATION: Rule = Rule::new(
    "Profile operation must be one of $add, $set, $remove, $delete",
    "Write $add, $set, $remove or $delete in lower case, or leave the cell empty for $set.",
);

pub static NO_LIST: Rule = Rule::new(
    "Profile operation $add or $remove is not allowed on this property",
    "Use $set or $delete: this property holds one value and no list.",
)
.with_help(|_| Some("use $set or $delete".into()));

pub static PHONE: Rule = Rule::new(
    "Phone number is not valid",
    "Write + and the country code first, then the number: 5 to 15 digits in all.",
)
.with_help(|_| Some("write + and 5 to 15 digits with the country code first".into()));

pub static EMAIL: Rule =
    Rule::new("Email is not valid", "Write one address, such as jane@example.com.")
        .with_help(email_hint);

pub static GENDER: Rule =
    Rule::new("Gender is not valid", "Write M, F, O or U, or Male, Female, Other or Unknown.")
        .with_help(|_| Some("write M, F, O or U, or Male, Female, Other or Unknown".into()));

pub static AGE: Rule = Rule::new("Age is not valid", "Write a number from 0 to 150.")
    .with_help(|_| Some("write a number from 0 to 150".into()));

/// A property whose values must follow a special rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialProperty {
    Phone,
    Email,
    Gender,
    Age,
    /// A property with a single value, such as `Name` or a communication preference. Its value
    /// cannot be a list.
    Scalar,
}

/// The names of the product's own properties that have a single value, in the form that [`fold`]
/// returns.
const SCALARS: [&str; 9] =
    ["name", "dob", "education", "employed", "married", "photo", "tz", "timezone", "customertype"];

/// The names of the communication preferences in the spelling of the store.
const PREFERENCES: [&str; 7] = [
    "MSG-sms",
    "MSG-email",
    "MSG-whatsapp",
    "MSG-push",
    "MSG-dndSMS",
    "MSG-dndEmail",
    "MSG-dndWhatsApp",
];

impl SpecialProperty {
    /// Returns the special rule for the property with the name `name`.
    pub fn of(name: &str) -> Option<Self> {
        match fold(name).as_str() {
            "phone" => Some(Self::Phone),
            "email" => Some(Self::Email),
            "gender" => Some(Self::Gender),
            "age" => Some(Self::Age),
            name if SCALARS.contains(&name) || preference(name).is_some() => Some(Self::Scalar),
            _ => None,
        }
    }

    /// Returns whether the values of the property are always stored in the same form. In that case,
    /// the form does not depend on the type of the column.
    pub fn has_one_form(self) -> bool {
        self != Self::Scalar
    }

    /// Returns the form in which a cell that is not empty is stored. If `needs_dot` is true, the
    /// domain of an email must have a dot.
    pub fn normal(self, cell: &str, needs_dot: bool) -> Result<Normal<'_>, &'static Rule> {
        match self {
            Self::Phone => phone(cell),
            Self::Email => {
                let email = trim(cell);
                let is_valid = is_address(email) && (!needs_dot || has_domain_dot(email));
                is_valid.then_some(Normal::Value(Value::Text(email))).ok_or(&EMAIL)
            }
            Self::Gender => gender(trim(cell)).map(Value::Text).map(Normal::Value).ok_or(&GENDER),
            Self::Age => age(trim(cell)).map(Normal::Value).ok_or(&AGE),
            Self::Scalar => Ok(Normal::Unchanged),
        }
    }
}

/// The form in which the value of a property with a special rule is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Normal<'a> {
    /// The value is stored in the form that the type of the column determines.
    Unchanged,
    Value(Value<'a>),
    Text(String),
}

/// Parses the operation in a cell. An empty cell means `$set`.
pub fn operation(cell: &str) -> Result<Operation, &'static Rule> {
    match trim(cell) {
        "" | "$set" => Ok(Operation::Set),
        "$add" => Ok(Operation::Add),
        "$remove" => Ok(Operation::Remove),
        "$delete" => Ok(Operation::Delete),
        _ => Err(&OPERATION),
    }
}

/// Returns the name of a communication preference in the spelling of the store. Case in `name` is
/// ignored.
pub fn preference(name: &str) -> Option<&'static str> {
    let name = fold(name);
    let name = if name == "msg-dndphone" { "msg-dndsms" } else { &name };
    PREFERENCES.into_iter().find(|preference| preference.eq_ignore_ascii_case(name))
}

/// Parses a phone number of `+` and 5 to 15 digits. Spaces, dashes and brackets are removed.
fn phone(cell: &str) -> Result<Normal<'_>, &'static Rule> {
    match cell.as_bytes() {
        [b'+', digits @ ..]
            if (5..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) =>
        {
            Ok(Normal::Value(Value::Text(cell)))
        }
        _ => any_phone(cell).map(Normal::Text).ok_or(&PHONE),
    }
}

fn any_phone(cell: &str) -> Option<String> {
    let is_bracket = |c: char| matches!(c, '(' | ')' | '[' | ']');
    let is_ignored = |c: char| c.is_whitespace() || is_dash(c) || is_bracket(c);
    let phone: String = cell.chars().filter(|c| !is_ignored(*c)).take(17).collect();
    let digits = phone.strip_prefix('+')?;
    let is_valid =
        (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_valid.then_some(phone)
}

/// Returns the letter of a gender. `text` is the letter or the word for the gender, in upper or
/// lower case.
fn gender(text: &str) -> Option<&'static str> {
    let words = [("M", "Male"), ("F", "Female"), ("O", "Other"), ("U", "Unknown")];
    words.into_iter().find_map(|(letter, word)| {
        let is = |name| text.eq_ignore_ascii_case(name);
        (is(letter) || is(word)).then_some(letter)
    })
}

/// Parses an age in years. A whole number is stored without decimals.
fn age(text: &str) -> Option<Value<'static>> {
    let age = super::value::float(text).ok().filter(|age| (0.0..=150.0).contains(age))?;
    let whole = age as i64;
    Some(if whole as f64 == age { Value::Integer(whole) } else { Value::Float(age) })
}

fn has_domain_dot(email: &str) -> bool {
    let last = email.bytes().rev().find(|byte| matches!(byte, b'.' | b'@'));
    last == Some(b'.')
}

/// Returns the reason why an email address is not valid.
fn email_hint(case: &RuleCase<'_>) -> Detail {
    let email = trim(case.value?);
    let is_invisible = |c: char| is_unprintable(c) && !c.is_whitespace();
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let why = if email.contains(is_invisible) {
        "the address has an invisible character"
    } else if email.contains(['<', '>']) {
        "write the address alone, without a name and angle brackets"
    } else if email.contains([',', ';']) {
        "write one address"
    } else if email.contains(char::is_whitespace) {
        "the address has a space inside"
    } else if !email.contains('@') {
        "the address has no @"
    } else if local.contains('@') {
        "the address has more than one @"
    } else if local.is_empty() {
        "the address has nothing before the @"
    } else if domain.is_empty() {
        "the address has nothing after the @"
    } else if [local, domain]
        .iter()
        .any(|part| part.starts_with('.') || part.ends_with('.') || part.contains(".."))
    {
        "the address has a dot at the beginning or end of a part, or two dots in a row"
    } else if case.limits.email_domain_dot && !domain.contains('.') {
        "the domain has no dot"
    } else if local.chars().count() > 64 {
        "the address has more than 64 characters before the @"
    } else {
        "the address has a character that addresses don't have"
    };
    Some(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Quoting;

    #[test]
    fn an_operation_cell_defaults_to_set() {
        use Operation::*;
        for (cell, expected) in [
            ("", Set),
            ("  ", Set),
            ("$set", Set),
            ("$add", Add),
            ("$remove", Remove),
            (" $delete ", Delete),
        ] {
            assert_eq!(operation(cell).unwrap(), expected, "{cell:?}");
        }
        for cell in ["add", "$ADD", "$append", "$", "$set $add"] {
            assert_eq!(operation(cell).unwrap_err().text(), OPERATION.text(), "{cell:?}");
        }
    }

    fn normal(special: SpecialProperty, cell: &str) -> Result<Normal<'_>, &'static str> {
        special.normal(cell, true).map_err(Rule::text)
    }

    #[test]
    fn phones_are_stored_as_plus_and_digits() {
        for (cell, phone) in [
            ("+918876543211", "+918876543211"),
            ("+12345", "+12345"),
            ("+123456789012345", "+123456789012345"),
            ("+49 (30) 123-456", "+4930123456"),
            (" +1 [555] 010\u{a0}0123 ", "+15550100123"),
            ("+1\u{2011}555\u{2013}0100123", "+15550100123"),
        ] {
            let found = match normal(SpecialProperty::Phone, cell) {
                Ok(Normal::Value(Value::Text(text))) => text.to_owned(),
                Ok(Normal::Text(text)) => text,
                other => panic!("{cell:?}: {other:?}"),
            };
            assert_eq!(found, phone, "{cell:?}");
        }
        let long = format!("+1{}", " 2".repeat(1000));
        for cell in [
            "918876543211",
            "+1234",
            "+1234567890123456",
            "+12345x",
            "++12345",
            "+",
            "+é12345",
            &long,
        ] {
            assert_eq!(normal(SpecialProperty::Phone, cell), Err(PHONE.text()), "{cell:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn fast_and_full_phone_checks_agree(cell in "[+]?[0-9 ()-]{0,18}|[+0-9é]{0,4}") {
            let fast = phone(&cell).ok().map(|phone| match phone {
                Normal::Text(text) => text,
                _ => cell.clone(),
            });
            proptest::prop_assert_eq!(fast, any_phone(&cell));
        }
    }

    #[test]
    fn emails_are_stored_without_white_space() {
        let email = Normal::Value(Value::Text("a@b.example"));
        assert_eq!(normal(SpecialProperty::Email, " a@b.example\t"), Ok(email));
        assert_eq!(normal(SpecialProperty::Email, "a@b"), Err(EMAIL.text()));
        assert!(SpecialProperty::Email.normal("a@b", false).is_ok());
    }

    #[test]
    fn hints_explain_why_an_email_is_invalid() {
        let limits = crate::config::Limits::default();
        for (cell, why) in [
            ("jane", "the address has no @"),
            ("a@b", "the domain has no dot"),
            ("a@@b.example", "the address has more than one @"),
            ("@b.example", "the address has nothing before the @"),
            ("a@", "the address has nothing after the @"),
            ("a @b.example", "the address has a space inside"),
            ("a\u{a0}x@b.example", "the address has a space inside"),
            ("a@b.example\u{200b}", "the address has an invisible character"),
            ("Jane <a@b.example>", "write the address alone, without a name and angle brackets"),
            ("a@b.example,c@b.example", "write one address"),
            (
                "a@b.example.",
                "the address has a dot at the beginning or end of a part, or two dots in a row",
            ),
            (
                &format!("{}@b.example", "x".repeat(65)),
                "the address has more than 64 characters before the @",
            ),
            ("a(@b.example", "the address has a character that addresses don't have"),
        ] {
            assert_eq!(normal(SpecialProperty::Email, cell), Err(EMAIL.text()), "{cell:?}");
            let case = RuleCase {
                value: Some(cell),
                fields: 0,
                width: 0,
                bytes: 0,
                quoting: Quoting::Doubled,
                broken: None,
                limits: &limits,
                format: None,
            };
            assert_eq!(email_hint(&case).as_deref(), Some(why), "{cell:?}");
        }
    }

    #[test]
    fn a_gender_is_stored_as_its_letter() {
        for (cell, letter) in [
            ("M", "M"),
            ("f", "F"),
            ("O", "O"),
            ("u", "U"),
            (" male ", "M"),
            ("Female", "F"),
            ("OTHER", "O"),
            ("unknown", "U"),
        ] {
            let expected = Normal::Value(Value::Text(letter));
            assert_eq!(normal(SpecialProperty::Gender, cell), Ok(expected), "{cell:?}");
        }
        for cell in ["X", "", "ma"] {
            assert_eq!(normal(SpecialProperty::Gender, cell), Err(GENDER.text()), "{cell:?}");
        }
    }

    #[test]
    fn an_age_is_stored_as_a_number() {
        for (cell, age) in [
            ("0", Value::Integer(0)),
            ("-0", Value::Integer(0)),
            (" 21 ", Value::Integer(21)),
            ("21.0", Value::Integer(21)),
            ("150", Value::Integer(150)),
            ("21.5", Value::Float(21.5)),
        ] {
            assert_eq!(normal(SpecialProperty::Age, cell), Ok(Normal::Value(age)), "{cell:?}");
        }
        for cell in ["-1", "151", "150.1", "old", "nan", "21 years"] {
            assert_eq!(normal(SpecialProperty::Age, cell), Err(AGE.text()), "{cell:?}");
        }
    }

    #[test]
    fn preferences_have_one_spelling() {
        for (name, stored) in [
            ("msg-SMS", "MSG-sms"),
            ("MSG-DNDPHONE", "MSG-dndSMS"),
            ("msg-dndsms", "MSG-dndSMS"),
            ("Msg-DndWhatsapp", "MSG-dndWhatsApp"),
        ] {
            assert_eq!(preference(name), Some(stored));
        }
        assert_eq!(preference("MSG-fax"), None);
    }

    #[test]
    fn known_properties_are_found_by_any_spelling() {
        assert_eq!(SpecialProperty::of("PHONE"), Some(SpecialProperty::Phone));
        assert_eq!(SpecialProperty::of("Customer Type"), Some(SpecialProperty::Scalar));
        assert_eq!(SpecialProperty::of("MSG-SMS"), Some(SpecialProperty::Scalar));
        assert_eq!(SpecialProperty::of("Playlist"), None);
    }
}
