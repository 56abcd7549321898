//! The kernels launched a second way: by the crate `ocl`, with its own context, buffers and queue.
//!
//! Our runtime writes down every launch of a round of operations that are checked against the reference, with the words
//! of all buffers before and after. Each is launched again from the same words, the text and the options that our
//! runtime built; only the host code is another. Where a result differs the host code is at fault, ours or theirs; where
//! both are wrong the kernel is.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use ocl::builders::ProgramBuilder;
use ocl::{Buffer, Context, Device, Kernel, Platform, Program, Queue};
use p3_baby_bear::BabyBear;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{HalError, HalField, check_device};
use starkwright_hw_tests::conformance::Fill;
use starkwright_hw_tests::runtimes::{self, Opened};
use starkwright_kernels::ops::merkle::{keccak_f, poseidon2};
use starkwright_kernels::{Launch, OpenCl, Options, ProgramSource, RecordedArg, Recorder, Word};

/// Every kernel there is, in both variants.
const KERNELS: [&str; 23] = [
    "add_opening",
    "add_parts",
    "fold",
    "gather_rows",
    "grind_keccak",
    "grind_poseidon2",
    "inverse_denominators",
    "keccak_compress",
    "keccak_permute",
    "keccak_rows",
    "keccak_top",
    "ntt_direct",
    "ntt_forward",
    "ntt_gather",
    "ntt_inverse",
    "ntt_turn",
    "poseidon2_compress",
    "poseidon2_permute",
    "poseidon2_rows",
    "poseidon2_top",
    "row_sums",
    "sum_rows_1",
    "sum_rows_2",
];

#[test]
fn second_launcher() {
    runtimes::each("second-launcher", |opened| {
        let recorder = Recorder::default();
        let options = Options {
            recorder: Some(recorder.clone()),
            ..opened.target.options()
        };
        let device = OpenCl::open(&opened.target.info, options).map_err(|e| e.to_string())?;
        operations(&device).map_err(|error| error.to_string())?;
        let launches = recorder.take();
        every_kernel_is_there(&device, &launches)?;

        let launcher = Launcher::new(opened, device.runtime().sources())?;
        for launch in &launches {
            launcher.again(launch)?;
        }
        a_difference_is_seen(&launcher, &launches)?;
        Ok(launches.len() as u64)
    })
    .unwrap();
}

/// Every family of operations at tiny shapes, compared with the reference; and the bare permutations. A driver may need
/// seconds to build a program: every kernel over one field, one over the other.
fn operations(device: &OpenCl) -> Result<(), HalError> {
    check_device::<KoalaBear, _>(device)?;
    permutation::<KoalaBear>(device, 16)?;
    permutation::<KoalaBear>(device, 24)?;
    permutation::<BabyBear>(device, 16)?;
    let rt = device.runtime();
    let states = rt.upload(&Fill::Random(11).elements::<KoalaBear>(16 * 50))?;
    keccak_f(rt, &states)
}

fn permutation<F: HalField + Word>(device: &OpenCl, width: usize) -> Result<(), HalError> {
    let rt = device.runtime();
    let states = rt.upload(&Fill::Random(12).elements::<F>(32 * width))?;
    poseidon2::<F>(rt, width, &states)
}

/// The kernels listed above, and all others of the programs that were built, have been launched.
fn every_kernel_is_there(device: &OpenCl, launches: &[Launch]) -> Result<(), String> {
    let seen: BTreeSet<&str> = launches.iter().map(|launch| launch.kernel).collect();
    let rt = device.runtime();
    let mut wanted: BTreeSet<String> = KERNELS.iter().map(|name| (*name).to_owned()).collect();
    for source in rt.sources() {
        let program = rt.program(&source).map_err(|error| error.to_string())?;
        wanted.extend(program.kernel_names());
    }
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| !seen.contains(name.as_str()))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("never launched: {missing:?}"))
    }
}

/// A launch that left other words than those written down is found out.
fn a_difference_is_seen(launcher: &Launcher, launches: &[Launch]) -> Result<(), String> {
    let mut wrong = launches.first().ok_or("nothing was launched")?.clone();
    for words in &mut wrong.after {
        *words.last_mut().ok_or("an empty buffer")? ^= 1;
    }
    match launcher.again(&wrong) {
        Err(why) if why.contains("differs") => Ok(()),
        other => Err(format!("a wrong word was not seen: {other:?}")),
    }
}

/// A program's text and options, as a launch names them.
type Origin = ([u8; 32], String);

/// The device, opened by `ocl`.
struct Launcher {
    device: Device,
    context: Context,
    queue: Queue,
    sources: Vec<ProgramSource>,
    programs: RefCell<HashMap<Origin, Program>>,
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("ocl: {error}")
}

impl Launcher {
    fn new(opened: &Opened, sources: Vec<ProgramSource>) -> Result<Self, String> {
        let info = &opened.target.info;
        let named = |platform: &Platform| platform.name().is_ok_and(|name| name == info.platform);
        let platform = Platform::list()
            .into_iter()
            .find(named)
            .ok_or("ocl: no such platform")?;
        let devices = Device::list_all(platform).map_err(failed)?;
        let named = |device: &Device| device.name().is_ok_and(|name| name == info.name);
        let device = devices
            .into_iter()
            .find(named)
            .ok_or("ocl: no such device")?;
        let context = Context::builder()
            .platform(platform)
            .devices(device)
            .build()
            .map_err(failed)?;
        let queue = Queue::new(&context, device, None).map_err(failed)?;
        Ok(Self {
            device,
            context,
            queue,
            sources,
            programs: RefCell::default(),
        })
    }

    /// The program of a launch, built once from the text that our runtime built.
    fn program(&self, launch: &Launch) -> Result<Program, String> {
        let origin = (launch.source_hash, launch.options.clone());
        if let Some(program) = self.programs.borrow().get(&origin) {
            return Ok(program.clone());
        }
        let made = |source: &&ProgramSource| {
            source.hash() == launch.source_hash && source.options() == launch.options
        };
        let Some(ProgramSource::Source { parts, .. }) = self.sources.iter().find(made) else {
            return Err(format!("{}: its source is not known", launch.kernel));
        };
        let mut builder: ProgramBuilder<'_> = Program::builder();
        builder
            .src(parts.concat())
            .cmplr_opt(launch.options.clone())
            .devices(self.device);
        let program = builder.build(&self.context).map_err(failed)?;
        self.programs.borrow_mut().insert(origin, program.clone());
        Ok(program)
    }

    fn buffer(&self, words: &[u32]) -> Result<Buffer<u32>, String> {
        Buffer::builder()
            .queue(self.queue.clone())
            .len(words.len())
            .copy_host_slice(words)
            .build()
            .map_err(failed)
    }

    /// Launches again from the words before, and compares all words after.
    fn again(&self, launch: &Launch) -> Result<(), String> {
        let program = self.program(launch)?;
        let buffers = launch.before.iter().map(|words| self.buffer(words));
        let buffers = buffers.collect::<Result<Vec<_>, _>>()?;
        let mut builder = Kernel::builder();
        builder.program(&program).name(launch.kernel);
        for arg in &launch.args {
            match *arg {
                RecordedArg::Buffer(index) => builder.arg(&buffers[index]),
                RecordedArg::U32(value) => builder.arg(value),
                RecordedArg::U64(value) => builder.arg(value),
                RecordedArg::Local(bytes) => builder.arg_local::<u8>(bytes),
            };
        }
        // SAFETY: our runtime checked the kinds of the arguments; buffers of words may be `ulong *` to a kernel, which
        // is what `ocl` would object to.
        unsafe { builder.disable_arg_type_check() };
        let kernel = builder.build().map_err(failed)?;
        let mut command = kernel
            .cmd()
            .queue(&self.queue)
            .global_work_size(launch.global);
        if let Some(local) = launch.local {
            command = command.local_work_size(local);
        }
        // SAFETY: the buffers are as large as those of our runtime's launch, and outlive `finish`.
        unsafe { command.enq() }.map_err(failed)?;
        self.queue.finish().map_err(failed)?;
        for (index, (buffer, wanted)) in buffers.iter().zip(&launch.after).enumerate() {
            let mut got = vec![0; buffer.len()];
            buffer.read(&mut got).enq().map_err(failed)?;
            if let Some(at) = got.iter().zip(wanted).position(|(a, b)| a != b) {
                return Err(format!(
                    "{} over {:?} differs in word {at} of buffer {index}: {:#x} through ocl, {:#x} through our runtime",
                    launch.kernel, launch.global, got[at], wanted[at]
                ));
            }
        }
        Ok(())
    }
}
