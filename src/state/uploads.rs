//! The table `upload`: how the last write to each file in an account's incoming ended. A row is
//! removed when its file no longer exists. The rows keep the contents of `audit::UploadOutcomes`
//! over a restart.

use rusqlite::{Row, params};

use super::db::transaction::{parsed, time};
use super::{Error, Result, Transaction, millis};
use crate::account::AccountId;
use crate::audit::upload_outcome::{OutcomeChanges, Writers};
use crate::audit::{LoggedName, UploadOutcome, WriteEnd};

/// Writes the upload outcomes of `account` that have changed. Writes nothing if the account does
/// not exist.
pub fn write(tx: &Transaction<'_>, account: &AccountId, changes: &OutcomeChanges) -> Result<()> {
    if changes.cleared {
        tx.change("DELETE FROM upload WHERE account = ?1", [account.as_str()])?;
    }
    for (name, fact) in &changes.names {
        match fact {
            Some(fact) => put(tx, account, name, fact)?,
            None => {
                let sql = "DELETE FROM upload WHERE account = ?1 AND name = ?2 AND cut = ?3";
                tx.change(sql, params![account.as_str(), name.text, name.cut])?;
            }
        }
    }
    Ok(())
}

fn put(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &LoggedName,
    fact: &UploadOutcome,
) -> Result<()> {
    tx.change(
        "INSERT OR REPLACE INTO upload (account, name, cut, ended, bytes, at, address, known_at)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM account WHERE id = ?1",
        params![
            account.as_str(),
            name.text,
            name.cut,
            word(fact.end),
            fact.bytes.map(u64::cast_signed), // `from_row` casts the value to u64 again
            millis(fact.at),
            fact.from,
            millis(fact.known_at)
        ],
    )?;
    Ok(())
}

/// Returns the recorded upload outcomes of all accounts.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<(AccountId, LoggedName, UploadOutcome)>> {
    let sql = "SELECT account, name, cut, ended, bytes, at, address, known_at FROM upload";
    tx.select(sql, [], from_row)
}

fn from_row(row: &Row<'_>) -> Result<(AccountId, LoggedName, UploadOutcome)> {
    let ended: String = row.get(3)?;
    let fact = UploadOutcome {
        end: end(&ended)
            .ok_or_else(|| Error::Value(format!("an unknown upload end: {ended:?}")))?,
        bytes: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
        at: time(row, 5)?,
        from: row.get(6)?,
        known_at: time(row, 7)?,
        writers: Writers::default(),
        replaced_at: None,
    };
    Ok((parsed(row, 0)?, LoggedName { text: row.get(1)?, cut: row.get(2)? }, fact))
}

const WORDS: [(WriteEnd, &str); 4] = [
    (WriteEnd::Closed, "closed"),
    (WriteEnd::Unknown, "unknown"),
    (WriteEnd::Open, "open"),
    (WriteEnd::Forced, "forced"),
];

fn word(end: WriteEnd) -> &'static str {
    WORDS.iter().find(|(of, _)| *of == end).map_or("unknown", |(_, word)| word)
}

fn end(word: &str) -> Option<WriteEnd> {
    WORDS.iter().find(|(_, text)| *text == word).map(|(end, _)| *end)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::state::State;

    #[test]
    fn upload_outcomes_are_stored_until_account_removal() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let (acme, other): (AccountId, AccountId) =
            ("acme".parse().unwrap(), "gone".parse().unwrap());
        let fact = |end, bytes| UploadOutcome {
            end,
            bytes,
            at: at(1),
            from: Some("::1".into()),
            known_at: at(2),
            writers: Writers::default(),
            replaced_at: None,
        };
        let name = |text: &str, cut| LoggedName { text: text.into(), cut };
        let facts = [
            (name("a", false), fact(WriteEnd::Closed, Some(u64::MAX))),
            (name("a", true), fact(WriteEnd::Forced, None)),
            (name("b", false), fact(WriteEnd::Open, None)),
            (name("c", false), fact(WriteEnd::Unknown, Some(1))),
        ];
        let changes = |cleared, names: &[(LoggedName, Option<UploadOutcome>)]| OutcomeChanges {
            cleared,
            names: names.to_vec(),
        };
        let all: Vec<_> = facts.iter().cloned().map(|(name, fact)| (name, Some(fact))).collect();
        state
            .write(|tx| {
                tx.execute_batch("INSERT INTO account (id, created_at) VALUES ('acme', 0)")?;
                write(tx, &acme, &changes(false, &all))?;
                write(tx, &other, &changes(false, &all))?;
                let read: Vec<_> =
                    list(tx)?.into_iter().map(|(_, name, fact)| (name, fact)).collect();
                assert_eq!(read, facts);
                write(tx, &acme, &changes(false, &[(name("a", true), None)]))?;
                assert_eq!(list(tx)?.len(), 3);
                write(tx, &acme, &changes(true, &all[..1]))?;
                assert_eq!(list(tx)?.len(), 1);
                tx.execute("DELETE FROM account WHERE id = 'acme'", [])?;
                assert_eq!(list(tx)?.len(), 0);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
