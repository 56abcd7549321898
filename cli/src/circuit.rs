//! `starkwright circuit`.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use serde::Serialize;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::circuit::{Circuit, Cost};
use starkwright_aggregator::node::{Keys, Layers, derive_keys, keccak_heights, rate_layers};
use starkwright_aggregator::node_file::write_whole;
use starkwright_hal::{
    Backend, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;
use starkwright_prover::security::{Bits, Security};

use crate::args::CircuitArgs;
use crate::config;
use crate::device::{OnDevice, with_device};
use crate::exit::{DONE, Failure};
use crate::output::{self, digits};

/// A circuit, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Row {
    profile: String,
    circuit: String,
    log_height: usize,
    columns: usize,
    preprocessed_columns: usize,
    permutations: usize,
    gates: usize,
    bits: usize,
    /// The part of the table's rows that no machine uses.
    slack: f64,
    parts: Vec<Part>,
    security_bits: f64,
    security_binding_term: &'static str,
}

/// A part of a circuit.
#[derive(Debug, Serialize)]
struct Part {
    name: String,
    permutations: usize,
    gates: usize,
    bits: usize,
}

/// What is printed of a profile.
struct Profiled {
    profile: Profile,
    rows: Vec<Row>,
    keys: Keys,
}

pub(crate) fn run(args: &CircuitArgs) -> Result<u8, Failure> {
    let config = config::device(&args.config, args.backend.as_deref())?;
    let profiles = args.profile.map_or(Profile::ALL.to_vec(), |one| vec![one]);
    let mut all = Vec::new();
    for profile in profiles {
        let bar = output::spinner("setting circuits up", args.json);
        let profiled = with_device(&config, Job(profile))?;
        bar.finish_and_clear();
        let profiled = profiled?;
        if let Some(folder) = &args.write {
            let path = folder.join(format!("{profile}.json"));
            write_whole(&path, profiled.keys.to_json(profile)?.as_bytes())?;
        }
        if !args.json {
            print(&profiled)?;
        }
        all.extend(profiled.rows);
    }
    if args.json {
        output::json(&all)?;
    }
    Ok(DONE)
}

struct Job(Profile);

impl OnDevice for Job {
    type Output = Result<Profiled, AggregatorError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        match self.0 {
            Profile::Proven100 => profiled::<KoalaBear5, B>(device, self.0),
            Profile::Conjectured100 => profiled::<KoalaBear4, B>(device, self.0),
        }
    }
}

fn profiled<E, B>(device: &B, profile: Profile) -> Result<Profiled, AggregatorError>
where
    E: Extension<Val>,
    B: Backend<Val>,
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let rated = rate_layers::<E>(profile)?;
    let mut rows = Vec::new();
    let keys = derive_keys::<E, B>(
        device,
        &Layers::of(profile),
        &keccak_heights(),
        |name, circuit| {
            // Shrinks and closes have the join's shape.
            let layer = rated.iter().find(|(layer, _)| name.starts_with(layer));
            let (_, security) = layer.unwrap_or(&rated[1]);
            rows.push(row(profile, name, circuit, security));
        },
    )?;
    Ok(Profiled {
        profile,
        rows,
        keys,
    })
}

fn row(profile: Profile, name: &str, circuit: &Circuit, security: &Security) -> Row {
    let Cost {
        permutations,
        gates,
        bits,
    } = circuit.cost();
    let height = (1usize << circuit.log_height()) as f64;
    let used = permutations.max(gates).max(bits) as f64;
    let layout = circuit.air().layout();
    Row {
        profile: profile.to_string(),
        circuit: name.to_owned(),
        log_height: circuit.log_height(),
        columns: layout.width(),
        preprocessed_columns: layout.preprocessed_width(),
        permutations,
        gates,
        bits,
        slack: 1.0 - used / height,
        parts: circuit
            .sections()
            .iter()
            .map(|(name, cost)| Part {
                name: name.clone(),
                permutations: cost.permutations,
                gates: cost.gates,
                bits: cost.bits,
            })
            .collect(),
        security_bits: security.bits,
        security_binding_term: security.binding_term,
    }
}

fn print(profiled: &Profiled) -> Result<(), Failure> {
    say!("{}", profiled.profile);
    say!(
        "{:22} {:>5} {:>8} {:>12} {:>8} {:>7} {:>6}  security",
        "circuit",
        "rows",
        "columns",
        "permutations",
        "gates",
        "bits",
        "slack"
    );
    for row in &profiled.rows {
        say!(
            "{:22} {:>5} {:>8} {:>12} {:>8} {:>7} {:>5.0}%  {} bits, limited by {}",
            row.circuit,
            format!("2^{}", row.log_height),
            format!("{}+{}", row.columns, row.preprocessed_columns),
            row.permutations,
            row.gates,
            row.bits,
            100.0 * row.slack,
            Bits(row.security_bits),
            row.security_binding_term,
        );
    }
    let root = profiled.keys.allowed(profiled.profile)?.root();
    say!("allowed root  {}\n", digits(&root));
    Ok(())
}
