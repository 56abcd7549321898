//! What SQLite and PostgreSQL say differently.

/// The database's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// What is set on every connection.
    pub(super) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &[
                "PRAGMA busy_timeout = 10000",
                "PRAGMA journal_mode = WAL",
                // A commit that was answered survives a power failure.
                "PRAGMA synchronous = FULL",
            ],
            // An aggregator that is lost with its host, in the middle of a transaction, must not hold its locks for hours.
            Self::Postgres => &[
                "SET idle_in_transaction_session_timeout = '15s'",
                "SET tcp_keepalives_idle = 10",
                "SET tcp_keepalives_interval = 5",
                "SET tcp_keepalives_count = 3",
                "SET tcp_user_timeout = '25s'",
            ],
        }
    }

    /// The database's clock in milliseconds since 1970.
    pub(super) const fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            // Not the transaction's start: it may have waited for locks.
            Self::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Appended to a selection of rows that are to be changed: others wait for them.
    pub(super) const fn for_update(self) -> &'static str {
        match self {
            // There is one writer.
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// The same, but rows that somebody else is changing are passed over.
    pub(super) const fn for_update_skipping(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// Held until the transaction's end by whoever adds open tasks: their cap is checked under it.
    pub(super) const fn lock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(5459801)"),
        }
    }

    /// A statement of the schema.
    pub(super) fn schema(self, statement: &str) -> String {
        let (blob, identity) = match self {
            Self::Sqlite => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            Self::Postgres => ("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        };
        statement
            .replace("{blob}", blob)
            .replace("{identity}", identity)
    }
}
