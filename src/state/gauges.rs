//! Gauges for metrics: the number of imports, accounts, deliveries and endpoints by state, and the
//! waiting time of the oldest. Each gauge costs one search in an index.

use jiff::Timestamp;

use super::db::transaction::optional_time;
use super::{Result, Transaction};

/// The number of imports, accounts, deliveries or endpoints in one state, and the time of the
/// oldest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateGauge {
    /// The name of the state that is counted. For deliveries, the name of the channel.
    pub kind: String,
    pub count: i64,
    /// The time since which the oldest import or delivery has been waiting. `None` for accounts
    /// and endpoints.
    pub oldest: Option<Timestamp>,
}

/// All numbers from the state database that the metrics page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateGauges {
    /// The numbers of imports that have not ended, by state.
    pub imports: Vec<StateGauge>,
    /// The numbers of accounts, by state.
    pub accounts: Vec<StateGauge>,
    /// The numbers of pending deliveries, by channel.
    pub deliveries: Vec<StateGauge>,
    /// The numbers of endpoints, by state: `enabled`, `failing` or `disabled`.
    pub endpoints: Vec<StateGauge>,
}

pub fn read_all(tx: &Transaction<'_>) -> Result<StateGauges> {
    Ok(StateGauges {
        imports: list_gauges(
            tx,
            "SELECT state, count(*), min(received_at) FROM import
             WHERE state IN ('claiming', 'queued', 'running') GROUP BY state",
        )?,
        accounts: list_gauges(tx, "SELECT state, count(*), NULL FROM account GROUP BY state")?,
        deliveries: list_gauges(
            tx,
            "SELECT d.channel, count(*), min(m.at)
             FROM delivery d JOIN milestone m ON m.id = d.milestone
             WHERE d.state = 'pending' GROUP BY d.channel",
        )?,
        endpoints: list_gauges(
            tx,
            "SELECT CASE WHEN disabled_at IS NOT NULL THEN 'disabled'
                         WHEN failing_since IS NOT NULL THEN 'failing' ELSE 'enabled' END AS kind,
                    count(*), NULL FROM endpoint GROUP BY kind",
        )?,
    })
}

fn list_gauges(tx: &Transaction<'_>, sql: &str) -> Result<Vec<StateGauge>> {
    tx.select(sql, [], |row| {
        Ok(StateGauge { kind: row.get(0)?, count: row.get(1)?, oldest: optional_time(row, 2)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn gauges_count_rows_and_find_the_oldest() {
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
                read_all(tx)
            })
            .unwrap();
        let gauge = |kind: &str, count, second: Option<i64>| StateGauge {
            kind: kind.into(),
            count,
            oldest: second.map(|second| Timestamp::from_second(second).unwrap()),
        };
        assert_eq!(found.imports, [gauge("queued", 2, Some(4))]);
        assert_eq!(found.accounts, [gauge("active", 2, None)]);
        assert_eq!(found.endpoints, [gauge("enabled", 1, None), gauge("failing", 1, None)]);
        assert!(found.deliveries.is_empty());
    }
}
