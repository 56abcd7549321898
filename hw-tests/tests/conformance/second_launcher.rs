//! The kernels launched a second way: by the crate `ocl`, with its own context, buffers and queue.
//!
//! The text and the options are those that our runtime built; only the host code is another. Where a result is wrong
//! here too the kernel is at fault, where only ours is wrong the host code is.
#![allow(unsafe_code)]

use ocl::builders::ProgramBuilder;
use ocl::{Buffer, Context, Device, Kernel, Platform, Program, Queue};
use p3_baby_bear::BabyBear;
use p3_koala_bear::KoalaBear;
use p3_symmetric::Permutation;
use starkwright_hal::{Buffers, Cpu, HalField, LdeOps, MerkleOps, MerkleScheme, Poseidon2Merkle};
use starkwright_hw_tests::conformance::{Fill, Random, same_elements};
use starkwright_hw_tests::runtimes::{self, Opened};
use starkwright_kernels::{ProgramSource, Variant, Word};

#[test]
fn second_launcher() {
    runtimes::each("second-launcher", |opened| {
        let launcher = Launcher::new(opened)?;
        launcher.keccak_permutations()?;
        // A driver may need seconds to build a program: every kernel over one field, one over the other.
        launcher.poseidon2_permutations::<KoalaBear, 16>(&KoalaBear::poseidon2_16())?;
        launcher.poseidon2_permutations::<KoalaBear, 24>(&KoalaBear::poseidon2_24())?;
        launcher.poseidon2_permutations::<BabyBear, 16>(&BabyBear::poseidon2_16())?;
        launcher.poseidon2_leaves::<KoalaBear>()?;
        launcher.direct_transform::<KoalaBear>()?;
        Ok(6)
    })
    .unwrap();
}

/// The device, opened by `ocl`.
struct Launcher<'a> {
    opened: &'a Opened,
    device: Device,
    context: Context,
    queue: Queue,
}

fn words<F: HalField>(elements: &[F]) -> Vec<u32> {
    elements
        .iter()
        .map(|element| element.to_unique_u32())
        .collect()
}

fn elements<F: HalField>(words: &[u32]) -> Result<Vec<F>, String> {
    let element =
        |&word| F::from_montgomery_word(word).ok_or_else(|| format!("the word {word:#x}"));
    words.iter().map(element).collect()
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("ocl: {error}")
}

impl<'a> Launcher<'a> {
    fn new(opened: &'a Opened) -> Result<Self, String> {
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
            opened,
            device,
            context,
            queue,
        })
    }

    /// Builds the source that our runtime last built under this name, and with these marks in its options or text.
    fn program(&self, wanted: &str, marks: &[&str]) -> Result<Program, String> {
        let sources = self.opened.device.runtime().sources();
        let built = sources.into_iter().rev().find_map(|source| match source {
            ProgramSource::Source {
                name,
                options,
                parts,
            } if name == wanted => {
                let text = parts.concat();
                let marked = |mark: &&str| options.contains(*mark) || text.contains(*mark);
                marks.iter().all(marked).then_some((text, options))
            }
            _ => None,
        });
        let (text, options) = built.ok_or_else(|| format!("no program {wanted} was built"))?;
        let mut builder: ProgramBuilder<'_> = Program::builder();
        builder.src(text).cmplr_opt(options).devices(self.device);
        builder.build(&self.context).map_err(failed)
    }

    fn buffer(&self, words: &[u32]) -> Result<Buffer<u32>, String> {
        Buffer::builder()
            .queue(self.queue.clone())
            .len(words.len())
            .copy_host_slice(words)
            .build()
            .map_err(failed)
    }

    /// Runs a kernel whose arguments fit its declaration and whose buffers are as large as it needs.
    fn run(&self, kernel: &Kernel, global: [usize; 2], local: usize) -> Result<(), String> {
        let command = kernel.cmd().queue(&self.queue);
        let command = command.global_work_size(global).local_work_size([local, 1]);
        // SAFETY: the callers below give each kernel buffers for every index it touches (see the kernels' comments), and
        // the buffers outlive `finish`.
        unsafe { command.enq() }.map_err(failed)?;
        self.queue.finish().map_err(failed)
    }

    fn read(&self, buffer: &Buffer<u32>) -> Result<Vec<u32>, String> {
        let mut words = vec![0; buffer.len()];
        buffer.read(&mut words).enq().map_err(failed)?;
        Ok(words)
    }

    /// Work-items for `n` elements of `lanes` to an item, and the size of their groups.
    fn range(&self, n: usize, lanes: usize) -> (usize, usize) {
        match self.opened.target.variant {
            Variant::Vector => (n.div_ceil(lanes), 1),
            Variant::Scalar => (n.next_multiple_of(64), 64),
        }
    }

    /// `keccak_permute` on 16 states, against tiny-keccak's permutation.
    fn keccak_permutations(&self) -> Result<(), String> {
        let mut random = Random::new(11);
        let mut states: Vec<[u64; 25]> = (0..16)
            .map(|_| std::array::from_fn(|_| random.bits()))
            .collect();
        let input: Vec<u32> = states
            .as_flattened()
            .iter()
            .flat_map(|&lane| [lane as u32, (lane >> 32) as u32])
            .collect();
        let rt = self.opened.device.runtime();
        let ours = (|| {
            let buffer = rt.upload(&input)?;
            starkwright_kernels::ops::merkle::keccak_f(rt, &buffer)?;
            rt.read_vec::<u32>(&buffer, 0, input.len())
        })();
        let ours = ours.map_err(|error: starkwright_hal::HalError| error.to_string())?;

        let program = self.program("keccak_permute", &[])?;
        let buffer = self.buffer(&input)?;
        let kernel = Kernel::builder()
            .program(&program)
            .name("keccak_permute")
            .arg(&buffer)
            .arg(16u64)
            .build()
            .map_err(failed)?;
        let (global, local) = self.range(16, 8);
        self.run(&kernel, [global, 1], local)?;
        let theirs = self.read(&buffer)?;

        states.iter_mut().for_each(tiny_keccak::keccakf);
        let wanted: Vec<u32> = states
            .as_flattened()
            .iter()
            .flat_map(|&lane| [lane as u32, (lane >> 32) as u32])
            .collect();
        if theirs != wanted {
            return Err("keccak_permute is wrong through ocl".to_owned());
        }
        if ours != wanted {
            return Err("keccak_permute is wrong through our runtime".to_owned());
        }
        Ok(())
    }

    /// `poseidon2_permute` on 32 states, against p3's default permutation.
    fn poseidon2_permutations<F: HalField + Word, const WIDTH: usize>(
        &self,
        permutation: &impl Permutation<[F; WIDTH]>,
    ) -> Result<(), String> {
        let place = |i: usize| format!("state {}, word {}", i / WIDTH, i % WIDTH);
        let input = Fill::Random(12).elements::<F>(32 * WIDTH);
        let rt = self.opened.device.runtime();
        let ours = (|| {
            let buffer = rt.upload(&input)?;
            starkwright_kernels::ops::merkle::poseidon2::<F>(rt, WIDTH, &buffer)?;
            rt.read_vec::<F>(&buffer, 0, input.len())
        })();
        let ours = ours.map_err(|error: starkwright_hal::HalError| error.to_string())?;

        let program = self.program("poseidon2_permute", &[&prime::<F>(), &width(WIDTH)])?;
        let buffer = self.buffer(&words(&input))?;
        let kernel = Kernel::builder()
            .program(&program)
            .name("poseidon2_permute")
            .arg(&buffer)
            .arg(32u64)
            .build()
            .map_err(failed)?;
        let (global, local) = self.range(32, 16);
        self.run(&kernel, [global, 1], local)?;
        let theirs = elements::<F>(&self.read(&buffer)?)?;

        let mut wanted = input;
        for state in wanted.as_chunks_mut::<WIDTH>().0 {
            permutation.permute_mut(state);
        }
        same_elements(&theirs, &wanted, place)
            .map_err(|why| format!("poseidon2_permute/{WIDTH} through ocl: {why}"))?;
        same_elements(&ours, &wanted, place)
            .map_err(|why| format!("poseidon2_permute/{WIDTH} through our runtime: {why}"))
    }

    /// `poseidon2_rows` on one matrix, against the leaves of p3's tree: a cap as high as the tree.
    fn poseidon2_leaves<F: HalField + Word>(&self) -> Result<(), String>
    where
        starkwright_kernels::OpenCl: MerkleOps<F>,
    {
        let (log_height, columns) = (6, 19);
        let matrix = Fill::Random(13).matrix::<F>(1 << log_height, columns);
        let device = &self.opened.device;
        let committed = device
            .upload(matrix.clone())
            .and_then(|there| device.commit::<Poseidon2Merkle>(vec![there], 0));
        committed.map(|_| ()).map_err(|error| error.to_string())?;
        let (wanted, _) = Cpu::<F>::new()
            .commit::<Poseidon2Merkle>(vec![matrix.clone()], log_height)
            .map_err(|error| error.to_string())?;

        let program = self.program("poseidon2_rows", &[&prime::<F>(), &width(16)])?;
        let input = self.buffer(&words(&matrix.values))?;
        let digests = self.buffer(&vec![u32::MAX; 8 << log_height])?;
        const FINISH: u32 = 2;
        let mut builder = Kernel::builder();
        builder.program(&program).name("poseidon2_rows");
        builder.arg(&input).arg(0u64).arg(columns as u32);
        for _ in 1..4 {
            builder.arg(&input).arg(0u64).arg(0u32);
        }
        builder
            .arg(1u64 << log_height)
            .arg(&digests)
            .arg(0u64)
            .arg(&digests)
            .arg(0u32)
            .arg(FINISH);
        let kernel = builder.build().map_err(failed)?;
        let (global, local) = self.range(1 << log_height, 16);
        self.run(&kernel, [global, 1], local)?;
        let wanted = <Poseidon2Merkle as MerkleScheme<F>>::cap_words(&wanted);
        let (got, wanted) = (
            elements::<F>(&self.read(&digests)?)?,
            elements::<F>(wanted.as_flattened())?,
        );
        same_elements(&got, &wanted, |i| format!("leaf {}, word {}", i / 8, i % 8))
            .map_err(|why| format!("poseidon2_rows through ocl: {why}"))
    }

    /// `ntt_direct`, the pass of the lowest transforms, with the matrix of the roots' powers, against p3's transform.
    fn direct_transform<F: HalField + Word>(&self) -> Result<(), String>
    where
        starkwright_kernels::OpenCl: Buffers<F, Matrix = starkwright_kernels::Matrix> + LdeOps<F>,
    {
        let (log_height, width) = (3, 21);
        let height = 1usize << log_height;
        let matrix = Fill::Random(14).matrix::<F>(height, width);
        let device = &self.opened.device;
        let wanted = Cpu::<F>::new()
            .dft(matrix.clone())
            .map_err(|error| error.to_string())?;
        let ours = device
            .upload(matrix.clone())
            .and_then(|there| device.dft(there))
            .and_then(|there| Buffers::<F>::download(device, &there))
            .map_err(|error| error.to_string())?;

        let root = F::two_adic_generator(log_height);
        let powers: Vec<F> = (0..height * height)
            .map(|i| root.exp_u64(((i / height) * (i % height)) as u64))
            .collect();
        let program = self.program("ntt", &[&prime::<F>()])?;
        let input = self.buffer(&words(&matrix.values))?;
        let out = self.buffer(&vec![u32::MAX; height * width])?;
        let powers = self.buffer(&words(&powers))?;
        let kernel = Kernel::builder()
            .program(&program)
            .name("ntt_direct")
            .arg(&input)
            .arg(0u64)
            .arg(width as u64)
            .arg(&out)
            .arg(0u64)
            .arg(width as u64)
            .arg(&powers)
            .arg(height as u32)
            .arg(width as u32)
            .build()
            .map_err(failed)?;
        let (columns, local) = self.range(width, 16);
        self.run(&kernel, [columns, height], local)?;
        let got = elements::<F>(&self.read(&out)?)?;
        let place = |i: usize| format!("row {}, column {}", i / width, i % width);
        same_elements(&got, &wanted.values, place)
            .map_err(|why| format!("ntt_direct through ocl: {why}"))?;
        same_elements(&ours.values, &wanted.values, place)
            .map_err(|why| format!("dft through our runtime: {why}"))
    }
}

/// The option that tells one field's programs from another's.
fn prime<F: HalField>() -> String {
    format!("-DPRIME={}u", F::ORDER_U32)
}

/// The line of the text that tells one Poseidon2's programs from the other's.
fn width(width: usize) -> String {
    format!("#define WIDTH {width}\n")
}
