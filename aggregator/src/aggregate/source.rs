//! Segments that are still to be lifted, read from their files one at a time.

use std::fs::File;
use std::io::BufReader;

use starkwright_prover::ProverError;
use starkwright_prover::proof_file::{ProofReader, Segment as Record};

use super::plan::{self, Item};
use crate::AggregatorError;
use crate::schedule::Schedule;
use crate::tree::Interval;

/// Where the next segment comes from.
pub(super) struct Leaves<'a> {
    items: &'a [Item],
    /// What is missing of each file, from the left.
    missing: Vec<Vec<Interval>>,
    item: usize,
    reader: Option<ProofReader<'static, BufReader<File>>>,
}

impl<'a> Leaves<'a> {
    /// The segments that these schedules miss; of a file without one, none.
    pub(super) fn new(items: &'a [Item], schedules: &[Option<Schedule>]) -> Self {
        let missing = |schedule: &Option<Schedule>| {
            schedule
                .as_ref()
                .map_or_else(Vec::new, |schedule| schedule.missing().collect())
        };
        Self {
            items,
            missing: schedules.iter().map(missing).collect(),
            item: 0,
            reader: None,
        }
    }

    /// The next segment: its file, its index there, and its record.
    pub(super) fn next(&mut self) -> Result<Option<(usize, u64, Record)>, AggregatorError> {
        while let (Some(item), Some(missing)) =
            (self.items.get(self.item), self.missing.get(self.item))
        {
            if !missing.is_empty() {
                let reader = match &mut self.reader {
                    Some(reader) => reader,
                    none => none.insert(plan::open(&item.path)?),
                };
                while let Some(record) = reader.next_segment().map_err(ProverError::from)? {
                    let index = reader.segments() - 1;
                    if missing
                        .iter()
                        .any(|gap| gap.contains(Interval::leaf(index)))
                    {
                        return Ok(Some((self.item, index, record)));
                    }
                }
                if reader.segments() != item.segments.len() as u64 {
                    return Err(item.changed());
                }
            }
            self.reader = None;
            self.item += 1;
        }
        Ok(None)
    }
}
