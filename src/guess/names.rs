//! Lists the usual names of columns in exported files for ids, times, event names and known
//! properties. The names are in the form that [`key`] returns.

/// The usual names of the column with the event names.
pub const EVENT_NAME: [&str; 3] = ["evtname", "eventname", "event"];

/// The names of columns that probably have event names if the file also has a column of times.
pub const ACTION: [&str; 6] =
    ["eventtype", "eventaction", "action", "activity", "activityname", "activitytype"];

/// The usual names of the column with the time of an event, the likeliest first.
pub const TIMESTAMP: [&str; 5] = ["ts", "timestamp", "eventtime", "timestampms", "time"];

/// The names of the column with the time of an event if no column has a name of [`TIMESTAMP`].
pub const OTHER_TIMES: [&str; 11] = [
    "eventtimestamp",
    "eventdatetime",
    "eventdate",
    "occurredat",
    "occurredon",
    "datetime",
    "createdat",
    "createdon",
    "createddate",
    "created",
    "date",
];

/// The usual names of the column with the user's identity, the likeliest first.
pub const IDENTITY: [&str; 3] = ["identity", "userid", "customerid"];

/// The names of the column with the user's identity if no column has a name of [`IDENTITY`]. They
/// are preferred to a column of emails.
pub const OTHER_IDENTITY: [&str; 17] = [
    "distinctid",
    "externalid",
    "externaluserid",
    "customeridentity",
    "useridentity",
    "customerkey",
    "customernumber",
    "customerno",
    "custid",
    "clientid",
    "memberid",
    "subscriberid",
    "contactid",
    "personid",
    "accountid",
    "profileid",
    "uid",
];

pub const OBJECT_ID: [&str; 6] =
    ["objectid", "guid", "cookieid", "deviceid", "anonymousid", "userpseudoid"];
pub const FB_ID: [&str; 1] = ["fbid"];
pub const GP_ID: [&str; 1] = ["gpid"];

/// The usual names of columns, in the form that [`key`] returns, with the profile property of each
/// name.
const PROFILE: [(&str, &str); 32] = [
    ("name", "Name"),
    ("fullname", "Name"),
    ("email", "Email"),
    ("emailaddress", "Email"),
    ("phone", "Phone"),
    ("phonenumber", "Phone"),
    ("mobile", "Phone"),
    ("mobilephone", "Phone"),
    ("mobilenumber", "Phone"),
    ("gender", "Gender"),
    ("sex", "Gender"),
    ("age", "Age"),
    ("dob", "DOB"),
    ("dateofbirth", "DOB"),
    ("birthdate", "DOB"),
    ("birthday", "DOB"),
    ("tz", "Tz"),
    ("timezone", "Tz"),
    ("married", "Married"),
    ("employed", "Employed"),
    ("education", "Education"),
    ("customertype", "Customer Type"),
    ("photo", "Photo"),
    ("photourl", "Photo"),
    ("msgsms", "MSG-sms"),
    ("msgemail", "MSG-email"),
    ("msgwhatsapp", "MSG-whatsapp"),
    ("msgpush", "MSG-push"),
    ("msgdndsms", "MSG-dndSMS"),
    ("msgdndphone", "MSG-dndSMS"),
    ("msgdndemail", "MSG-dndEmail"),
    ("msgdndwhatsapp", "MSG-dndWhatsApp"),
];

/// The first words of column names that are questions, such as `is_active`. In such a column, 0
/// means no and 1 means yes.
const QUESTIONS: [&str; 10] =
    ["is", "has", "had", "was", "can", "did", "does", "should", "allow", "allows"];

/// Returns the letters and digits of a name, in lower case.
pub fn key(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the profile property for a column with the given name; `None` if the name is not known.
pub fn profile_property(name: &str) -> Option<&'static str> {
    let key = key(name);
    PROFILE.iter().find(|(name, _)| *name == key).map(|(_, property)| *property)
}

/// Returns whether a column with the given name can have the times of events.
pub fn is_time(name: &str) -> bool {
    let key = key(name);
    TIMESTAMP.contains(&&*key) || OTHER_TIMES.contains(&&*key)
}

/// Returns whether a column with the given name has emails.
pub fn is_email(name: &str) -> bool {
    key(name).starts_with("email")
}

/// Returns whether 0 and 1 mean no and yes in a column with the given name.
pub fn is_flag(name: &str) -> bool {
    let words = words(name);
    let is = |word: Option<&String>, list: &[&str]| word.is_some_and(|w| list.contains(&&**w));
    is(words.first(), &QUESTIONS) || is(words.last(), &["flag", "yn"])
}

/// Returns the words of a name in lower case. `isActive` and `is_active` have the words `is` and
/// `active`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_letters_and_digits() {
        assert_eq!(key("Event_Name"), key("eventName"));
        assert_eq!(profile_property("E-Mail Address"), Some("Email"));
        assert_eq!(profile_property("msg_DND-phone"), Some("MSG-dndSMS"));
        assert_eq!(profile_property("Playlist"), None);
    }

    #[test]
    fn flag_names_are_recognised() {
        for name in ["is_active", "isActive", "has-car", "Was Opened", "deletion_flag"] {
            assert!(is_flag(name), "{name}");
        }
        for name in ["issue", "island_id", "hash", "count", "flags", ""] {
            assert!(!is_flag(name), "{name}");
        }
    }
}
