//! How results are printed: JSON for programs, a few lines for people.

use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::process;

use indicatif::{ProgressBar, ProgressStyle};
use p3_field::PrimeField32;
use serde::Serialize;
use starkwright_aggregator::statement::{Digest, TreeStatement};
use starkwright_prover::profile::Profile;
use starkwright_prover::security::{Bits, Security};

use crate::exit::{Failure, USAGE};

/// A line on standard output. A reader that has left (`| head`) changes nothing: the exit code still says how it went. Where it
/// cannot be written for another reason, as on a full disk, the process ends with code 2.
pub(crate) fn line(text: Arguments<'_>) {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("starkwright: cannot write to standard output: {error}");
            process::exit(i32::from(USAGE));
        }
        _ => {}
    }
}

/// One JSON value on standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::usage(format!("cannot print the result: {error}")))?;
    say!("{text}");
    Ok(())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The canonical elements of a digest, eight hexadecimal digits each.
pub(crate) fn digits(digest: &Digest) -> String {
    let elements = digest.iter();
    elements
        .map(|element| format!("{:08x}", element.as_canonical_u32()))
        .collect()
}

/// What a range of items leads from and to.
pub(crate) fn range(statement: &TreeStatement) {
    say!(
        "items     {} to {}",
        statement.first_index,
        statement.first_index + (statement.count - 1)
    );
    say!("old       {}", digits(&statement.begin));
    say!("new       {}", digits(&statement.end));
}

/// How safe a proof is.
pub(crate) fn security(profile: Profile, security: &Security) {
    say!(
        "security  {profile} ({} bits for {}, limited by {}), not zero-knowledge",
        Bits(security.bits),
        profile.scope(),
        security.binding_term
    );
}

/// A sign of life on standard error while something runs whose steps are not counted; none where that is no terminal.
pub(crate) fn spinner(what: &'static str, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed} elapsed") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

/// A number of bytes in a unit that fits.
pub(crate) fn bytes(count: u64) -> String {
    // What a device without a limit of its own reports.
    if count >= 1 << 60 {
        return "no limit".to_owned();
    }
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}
