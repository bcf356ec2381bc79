//! Gauges for metrics: what waits now, and for how long. Each is one search in an index.

use jiff::Timestamp;

use super::{Result, timestamp};
use crate::state::Transaction;

/// The number of things of one kind, and the age of the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// A state or a channel.
    pub kind: String,
    pub count: i64,
    /// The time since which the oldest waits; `None` for accounts and endpoints.
    pub oldest: Option<Timestamp>,
}

/// All gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Imports that have not ended, by state.
    pub imports: Vec<Figure>,
    /// Accounts, by state.
    pub accounts: Vec<Figure>,
    /// Pending deliveries, by channel.
    pub deliveries: Vec<Figure>,
    /// Endpoints: `enabled`, `failing` or `disabled`.
    pub endpoints: Vec<Figure>,
}

pub fn read(tx: &Transaction<'_>) -> Result<Figures> {
    Ok(Figures {
        imports: figures(
            tx,
            "SELECT state, count(*), min(received_at) FROM import
             WHERE state IN ('claiming', 'queued', 'running') GROUP BY state",
        )?,
        accounts: figures(tx, "SELECT state, count(*), NULL FROM account GROUP BY state")?,
        deliveries: figures(
            tx,
            "SELECT d.channel, count(*), min(m.at)
             FROM delivery d JOIN milestone m ON m.id = d.milestone
             WHERE d.state = 'pending' GROUP BY d.channel",
        )?,
        endpoints: figures(
            tx,
            "SELECT CASE WHEN disabled_at IS NOT NULL THEN 'disabled'
                         WHEN failing_since IS NOT NULL THEN 'failing' ELSE 'enabled' END AS kind,
                    count(*), NULL FROM endpoint GROUP BY kind",
        )?,
    })
}

fn figures(tx: &Transaction<'_>, sql: &str) -> Result<Vec<Figure>> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut figures = Vec::new();
    while let Some(row) = rows.next()? {
        let oldest: Option<i64> = row.get(2)?;
        figures.push(Figure {
            kind: row.get(0)?,
            count: row.get(1)?,
            oldest: oldest.map(timestamp).transpose()?,
        });
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn counts_by_kind_with_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let found = state
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO account (id, created_at) VALUES ('a', 0), ('b', 0);
                     INSERT INTO endpoint (account, name, url, secret, created_at, failing_since)
                     VALUES ('a', 'x', 'u', 's', 0, 1), ('b', 'x', 'u', 's', 0, NULL);
                     INSERT INTO import (id, account, manifest, state, claim, stem, received_at)
                     VALUES ('a-1', 'a', 'm', 'queued', '{}', 's', 5000),
                            ('a-2', 'a', 'm', 'queued', '{}', 's', 4000);",
                )?;
                read(tx)
            })
            .unwrap();
        let figure = |kind: &str, count, second: Option<i64>| Figure {
            kind: kind.into(),
            count,
            oldest: second.map(|second| Timestamp::from_second(second).unwrap()),
        };
        assert_eq!(found.imports, [figure("queued", 2, Some(4))]);
        assert_eq!(found.accounts, [figure("active", 2, None)]);
        assert_eq!(found.endpoints, [figure("enabled", 1, None), figure("failing", 1, None)]);
        assert!(found.deliveries.is_empty());
    }
}
