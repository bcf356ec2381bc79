//! The migrations of the database schema. The number of a schema is the number of its migrations.

/// All schema migrations in order. The nth migration changes schema n-1 to schema n.
pub const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
];

/// Returns the number of the newest database schema that this program knows.
pub fn newest() -> i64 {
    MIGRATIONS.len() as i64
}
