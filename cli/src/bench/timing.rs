//! Interleaved timing of two ways to do the same work.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use starkwright_hal::Device;

/// Medians over the repetitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    pub(crate) cpu_ratio: f64,
    pub(crate) wall_ratio: f64,
    /// Wall seconds of the device.
    pub(crate) wall_seconds: f64,
    pub(crate) repetitions: usize,
    pub(crate) spread: f64,
    pub(crate) transfer_seconds: f64,
    pub(crate) build_seconds: f64,
}

/// Runs `reference` and `ours` in turn: once to warm up, then `repetitions` times.
///
/// Each takes what `prepare` makes, outside the clock, and its result is dropped outside the clock too.
pub(crate) fn compare<D: Device, T, R, S, E>(
    device: &D,
    repetitions: usize,
    mut prepare: impl FnMut() -> T,
    mut reference: impl FnMut(T) -> Result<R, E>,
    mut ours: impl FnMut(T) -> Result<S, E>,
) -> Result<Comparison, E> {
    device.reset_statistics();
    reference(prepare())?;
    ours(prepare())?;
    let build_seconds = device.statistics().build_seconds;
    device.reset_statistics();
    let (mut cpu, mut wall, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repetitions {
        let p3 = time(prepare(), &mut reference)?;
        let device = time(prepare(), &mut ours)?;
        cpu.push(p3.cpu / device.cpu);
        wall.push(p3.wall / device.wall);
        seconds.push(device.wall);
    }
    let cpu_ratio = median(&mut cpu);
    Ok(Comparison {
        cpu_ratio,
        wall_ratio: median(&mut wall),
        wall_seconds: median(&mut seconds),
        repetitions,
        // Sorted by the median.
        spread: (cpu[cpu.len() - 1] - cpu[0]) / cpu_ratio,
        transfer_seconds: device.statistics().transfer_seconds / repetitions as f64,
        build_seconds,
    })
}

/// What one run took.
struct Taken {
    cpu: f64,
    wall: f64,
}

fn time<T, R, E>(input: T, run: &mut impl FnMut(T) -> Result<R, E>) -> Result<Taken, E> {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let result = run(input)?;
    let taken = Taken {
        cpu: cpu_seconds() - cpu,
        wall: wall.elapsed().as_secs_f64(),
    };
    drop(result);
    Ok(taken)
}

/// CPU time of all threads of this process.
fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// The median; leaves the values sorted. `values` is never empty here.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
