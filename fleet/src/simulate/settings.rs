//! A scenario as it is written in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Arrival, Faults, ProverGroup, Rules, Scenario, TreeJob, poisson, read_arrivals};
use crate::FleetError;
use crate::store::Rate;

/// When jobs come, in a file of settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// Drawn from the seed.
    Poisson {
        /// Jobs for an hour, on average.
        per_hour: f64,
        /// Jobs altogether.
        jobs: u32,
        /// Leaves of each.
        leaves: u32,
    },
    /// Seconds from the beginning, and leaves.
    At(Vec<(f64, u32)>),
    /// A file of such lines: [`read_arrivals`].
    File(PathBuf),
}

/// A scenario as it is written in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSettings {
    /// Everything that is drawn follows from it.
    #[serde(default)]
    pub seed: u64,
    /// How fast devices are.
    pub rates: Vec<Rate>,
    /// The provers.
    pub provers: Vec<ProverGroup>,
    /// What a job consists of.
    pub job: TreeJob,
    /// When jobs come.
    pub arrivals: Arrivals,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
    /// The queue's rules.
    #[serde(default)]
    pub rules: Rules,
    /// See [`Scenario::overhead_s`].
    #[serde(default)]
    pub overhead_s: f64,
}

impl ScenarioSettings {
    /// The scenario: arrivals are drawn or read.
    ///
    /// # Errors
    /// [`FleetError::Settings`], [`FleetError::Io`], [`FleetError::Malformed`].
    pub fn scenario(&self) -> Result<Scenario, FleetError> {
        let times = match &self.arrivals {
            Arrivals::Poisson {
                per_hour,
                jobs,
                leaves,
            } => {
                if !(per_hour.is_finite() && *per_hour > 0.0) {
                    return Err(FleetError::Settings {
                        why: format!("{per_hour} jobs an hour never come"),
                    });
                }
                let times = poisson(self.seed, per_hour / 3600.0, *jobs as usize);
                times.into_iter().map(|at| (at, *leaves)).collect()
            }
            Arrivals::At(times) => times.clone(),
            Arrivals::File(path) => read_arrivals(path)?,
        };
        let mut templates = BTreeMap::new();
        let mut arrivals = Vec::with_capacity(times.len());
        for (at_s, leaves) in times {
            let job = match templates.get(&leaves) {
                Some(job) => Arc::clone(job),
                None => {
                    let job = Arc::new(self.job.template(leaves)?);
                    templates.insert(leaves, Arc::clone(&job));
                    job
                }
            };
            arrivals.push(Arrival {
                at_s,
                job,
                priority: 0,
            });
        }
        Ok(Scenario {
            seed: self.seed,
            rates: self.rates.clone(),
            provers: self.provers.clone(),
            arrivals,
            faults: self.faults,
            rules: self.rules,
            overhead_s: self.overhead_s,
        })
    }
}
