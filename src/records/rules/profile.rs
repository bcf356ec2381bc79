//! Rules for profiles: the four operations, and the properties with a rule of their own.

use super::{fold, trim};
use crate::records::profile_change::Operation;
use crate::records::rules::rejection::Rule;

pub static OPERATION: Rule = Rule::new(
    "Profile operation must be one of $add, $set, $remove, $delete",
    "Write one of the four, in lower case, or leave the cell empty, which means $set.",
);

pub static NO_LIST: Rule = Rule::new(
    "Profile operation $add or $remove is not allowed on this property",
    "Use $set or $delete: this property holds one value, no list.",
)
.with_help(|_| Some("use $set or $delete".into()));

pub static PHONE: Rule = Rule::new(
    "Phone number is not valid",
    "Write + and the country code first, then the number: 5 to 15 digits in all.",
)
.with_help(|_| Some("write + and 5 to 15 digits with the country code first".into()));

pub static EMAIL: Rule =
    Rule::new("Email is not valid", "Write one address, such as jane@example.com.");

pub static GENDER: Rule =
    Rule::new("Gender is not valid", "Write M, F, O or U, or Male, Female, Other or Unknown.")
        .with_help(|_| Some("write M, F, O or U, or Male, Female, Other or Unknown".into()));

pub static AGE: Rule = Rule::new("Age is not valid", "Write a number from 0 to 150.")
    .with_help(|_| Some("write a number from 0 to 150".into()));

/// A property with a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialProperty {
    Phone,
    Email,
    Gender,
    Age,
    /// Properties such as `Name`, and communication preferences: any value, but no list.
    Scalar,
}

/// The product's own properties with a single value, folded.
const SCALARS: [&str; 9] =
    ["name", "dob", "education", "employed", "married", "photo", "tz", "timezone", "customertype"];

/// The communication preferences in their stored spelling.
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
    /// Returns the special rule for the property `name`.
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

    /// Checks a cell that is not empty.
    pub fn check(self, cell: &str) -> Result<(), &'static Rule> {
        let (valid, rule) = match self {
            Self::Phone => (is_phone(cell), &PHONE),
            Self::Email => (crate::manifest::is_address(trim(cell)), &EMAIL),
            Self::Gender => (is_gender(trim(cell)), &GENDER),
            Self::Age => (is_age(trim(cell)), &AGE),
            Self::Scalar => return Ok(()),
        };
        if valid { Ok(()) } else { Err(rule) }
    }
}

/// Parses an operation; blank is `$set`.
pub fn operation(cell: &str) -> Result<Operation, &'static Rule> {
    match trim(cell) {
        "" | "$set" => Ok(Operation::Set),
        "$add" => Ok(Operation::Add),
        "$remove" => Ok(Operation::Remove),
        "$delete" => Ok(Operation::Delete),
        _ => Err(&OPERATION),
    }
}

/// Returns the stored spelling of the communication preference `name`, which is in any case.
pub fn preference(name: &str) -> Option<&'static str> {
    let name = fold(name);
    let name = if name == "msg-dndphone" { "msg-dndsms" } else { &name };
    PREFERENCES.into_iter().find(|preference| preference.eq_ignore_ascii_case(name))
}

/// Returns whether a cell is `+` and 5 to 15 digits; spaces, dashes and brackets are ignored.
fn is_phone(cell: &str) -> bool {
    match cell.as_bytes() {
        [b'+', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            (5..=15).contains(&digits.len())
        }
        _ => is_any_phone(cell),
    }
}

fn is_any_phone(cell: &str) -> bool {
    let mut significant =
        cell.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '(' | ')' | '[' | ']'));
    let plus = significant.next() == Some('+');
    let mut digits = 0;
    plus && significant.all(|c| {
        digits += 1;
        c.is_ascii_digit()
    }) && (5..=15).contains(&digits)
}

fn is_gender(text: &str) -> bool {
    ["M", "F", "O", "U", "Male", "Female", "Other", "Unknown"]
        .iter()
        .any(|gender| text.eq_ignore_ascii_case(gender))
}

fn is_age(text: &str) -> bool {
    super::value::float(text).is_ok_and(|age| (0.0..=150.0).contains(&age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_four_operations_and_treats_blank_as_set() {
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

    #[test]
    fn phones_need_plus_and_5_to_15_digits() {
        for cell in ["+918876543211", "+12345", "+123456789012345", "+49 (30) 123-456", " +12345 "]
        {
            assert!(is_phone(cell), "{cell:?}");
        }
        for cell in ["918876543211", "+1234", "+1234567890123456", "+12345x", "++12345", "+", ""] {
            assert!(!is_phone(cell), "{cell:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn fast_and_full_phone_checks_agree(cell in "[+]?[0-9 ()-]{0,18}|[+0-9é]{0,4}") {
            proptest::prop_assert_eq!(is_phone(&cell), is_any_phone(&cell));
        }
    }

    #[test]
    fn checks_emails_genders_and_ages() {
        assert!(SpecialProperty::Email.check("a@b.example").is_ok());
        assert!(SpecialProperty::Email.check("jane").is_err());
        for cell in ["M", "f", "O", "u", "male", "Female", "OTHER", "unknown"] {
            assert!(SpecialProperty::Gender.check(cell).is_ok(), "{cell:?}");
        }
        assert!(SpecialProperty::Gender.check("X").is_err());
        for cell in ["0", "21", " 150 ", "21.5"] {
            assert!(SpecialProperty::Age.check(cell).is_ok(), "{cell:?}");
        }
        for cell in ["-1", "151", "old", "nan"] {
            assert!(SpecialProperty::Age.check(cell).is_err(), "{cell:?}");
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
