//! A transaction, and the few shapes of statement that are run in one.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::dialect::Dialect;
use crate::FleetError;

/// A value of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

/// As it is: it only has to come back.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(value as i64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

/// Values of a statement, in the order of `$1`, `$2`, …
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::sql::tx::Value::from($value)),*] };
}
pub(super) use values;

/// Where statements are run.
pub(super) struct Tx<'c> {
    pub(super) connection: &'c mut AnyConnection,
    pub(super) dialect: Dialect,
    /// The time, where a test has stopped the clock.
    pub(super) stopped: Option<i64>,
}

/// A failure of the database while it did this.
pub(super) fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> FleetError {
    move |source| FleetError::Database { what, source }
}

/// The statement with its values. All dynamic parts of `sql` are this module's own: values are bound.
fn query(sql: String, values: Vec<Value>) -> sqlx::query::Query<'static, sqlx::Any, AnyArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        };
    }
    query
}

impl Tx<'_> {
    /// Runs a statement. Returns how many rows it changed.
    pub(super) async fn run(
        &mut self,
        what: &'static str,
        sql: impl Into<String>,
        values: Vec<Value>,
    ) -> Result<u64, FleetError> {
        let done = query(sql.into(), values)
            .execute(&mut *self.connection)
            .await;
        Ok(done.map_err(failed(what))?.rows_affected())
    }

    /// All rows that a statement finds.
    pub(super) async fn rows(
        &mut self,
        what: &'static str,
        sql: impl Into<String>,
        values: Vec<Value>,
    ) -> Result<Vec<AnyRow>, FleetError> {
        let found = query(sql.into(), values)
            .fetch_all(&mut *self.connection)
            .await;
        found.map_err(failed(what))
    }

    /// The first row that a statement finds.
    pub(super) async fn row(
        &mut self,
        what: &'static str,
        sql: impl Into<String>,
        values: Vec<Value>,
    ) -> Result<Option<AnyRow>, FleetError> {
        let found = query(sql.into(), values)
            .fetch_optional(&mut *self.connection)
            .await;
        found.map_err(failed(what))
    }

    /// The database's clock in milliseconds since 1970.
    pub(super) async fn now(&mut self) -> Result<i64, FleetError> {
        if let Some(now) = self.stopped {
            return Ok(now);
        }
        let row = self
            .row("read its clock", self.dialect.now(), Vec::new())
            .await?;
        row.as_ref().map_or(Ok(0), |row| int(row, 0))
    }
}

fn column<'r, T>(row: &'r AnyRow, at: usize) -> Result<T, FleetError>
where
    T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    row.try_get(at).map_err(|error| FleetError::Damaged {
        why: format!("column {at} of a row: {error}"),
    })
}

/// A column with a number.
pub(super) fn int(row: &AnyRow, at: usize) -> Result<i64, FleetError> {
    column(row, at)
}

/// A column with a number of 64 bits without sign.
pub(super) fn unsigned(row: &AnyRow, at: usize) -> Result<u64, FleetError> {
    Ok(int(row, at)? as u64)
}

/// A column with a number that may be absent.
pub(super) fn maybe_int(row: &AnyRow, at: usize) -> Result<Option<i64>, FleetError> {
    column(row, at)
}

/// A column with a fraction.
pub(super) fn float(row: &AnyRow, at: usize) -> Result<f64, FleetError> {
    column(row, at)
}

/// A column with a fraction that may be absent.
pub(super) fn maybe_float(row: &AnyRow, at: usize) -> Result<Option<f64>, FleetError> {
    column(row, at)
}

/// A column with text.
pub(super) fn text(row: &AnyRow, at: usize) -> Result<String, FleetError> {
    column(row, at)
}

/// A column with text that may be absent.
pub(super) fn maybe_text(row: &AnyRow, at: usize) -> Result<Option<String>, FleetError> {
    column(row, at)
}

/// A column with bytes.
pub(super) fn bytes(row: &AnyRow, at: usize) -> Result<Vec<u8>, FleetError> {
    column(row, at)
}

/// A number whose order counts: its top bit flipped, so that the database orders it without sign.
pub(super) const fn ordered(value: u64) -> i64 {
    (value ^ (1 << 63)) as i64
}

/// Back from [`ordered`].
pub(super) const fn from_ordered(value: i64) -> u64 {
    value as u64 ^ (1 << 63)
}
