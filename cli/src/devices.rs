//! `starkwright devices`: what there is, and whether it computes rightly.

use std::path::Path;

use serde::Serialize;
use starkwright_hal::{Backend, Caps, Cpu, Device, HalError, check_device};
use starkwright_kernels::OpenCl;
use starkwright_prover::keccak_file::Val;

use crate::args::DevicesArgs;
use crate::config;
use crate::device::{OPENCL, OnDevice, kind, open, with_device};
use crate::exit::{DONE, Failure, USAGE};
use crate::output;

/// One device in the list.
#[derive(Debug, Serialize)]
struct Listed {
    selector: String,
    name: String,
    driver: String,
    kind: String,
    compute_units: u32,
    memory_bytes: u64,
    max_alloc_bytes: u64,
}

/// The result of `--test`.
#[derive(Debug, Serialize)]
struct Tested {
    selector: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Caps>,
    passed: bool,
    /// Why it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

struct Test;

impl OnDevice for Test {
    type Output = Result<Caps, HalError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        check_device::<Val, B>(device)?;
        Ok(device.caps())
    }
}

pub(crate) fn run(args: &DevicesArgs) -> Result<u8, Failure> {
    if let Some(selector) = &args.test {
        return test(selector, args);
    }
    if let Some(folder) = &args.export {
        return export(args, folder);
    }
    let (found, missing) = list();
    if args.json {
        output::json(&found)?;
    } else {
        for device in &found {
            say!(
                "{:<10} {}\n           {}, {} compute units, {} memory, {} in one allocation\n           {}",
                device.selector,
                device.name,
                device.kind,
                device.compute_units,
                output::bytes(device.memory_bytes),
                output::bytes(device.max_alloc_bytes),
                device.driver,
            );
        }
        if let Some(missing) = missing {
            say!("{OPENCL:<10} {missing}");
        }
    }
    Ok(DONE)
}

/// What `--export` wrote.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    device: Caps,
    folder: &'a Path,
    programs: usize,
}

fn export(args: &DevicesArgs, folder: &Path) -> Result<u8, Failure> {
    // Not clap's to read: the variable is set for other commands too, and must not make a list an export.
    let backend = args.backend.clone();
    let backend = backend.or_else(|| std::env::var("STARKWRIGHT_BACKEND").ok());
    let config = config::device(&args.config, backend.as_deref())?;
    let Some(device) = open(&config)? else {
        let why = "the CPU has no programs to export: name an OpenCL device by --backend";
        return Err(Failure::usage(why.to_owned()));
    };
    let programs = device.export_programs(folder)?;
    let device = device.caps();
    if args.json {
        output::json(&Exported {
            device,
            folder,
            programs,
        })?;
    } else {
        say!(
            "{} ({}): {programs} programs in {}",
            device.selector,
            device.name,
            folder.display()
        );
    }
    Ok(DONE)
}

fn test(selector: &str, args: &DevicesArgs) -> Result<u8, Failure> {
    let config = config::device(&args.config, Some(selector))?;
    let tested = with_device(&config, Test).and_then(|tested| tested);
    if !args.json {
        let device = tested?;
        say!(
            "{} ({}): every operation that it supports gives the reference's answers",
            device.selector,
            device.name
        );
        return Ok(DONE);
    }
    let (device, failure) = match tested.map_err(Failure::from) {
        Ok(device) => (Some(device), None),
        // No device has failed where none was named.
        Err(failure) if failure.code == USAGE => return Err(failure),
        Err(failure) => (None, Some(failure)),
    };
    let code = failure.as_ref().map_or(DONE, |failure| failure.code);
    output::json(&Tested {
        selector: selector.to_owned(),
        device,
        passed: failure.is_none(),
        reason: failure.map(|failure| failure.message),
    })?;
    Ok(code)
}

/// The CPU and every OpenCL device, and why there are no OpenCL devices where the library is missing.
fn list() -> (Vec<Listed>, Option<HalError>) {
    let cpu = Cpu::<Val>::new().caps();
    let mut found = vec![Listed {
        selector: cpu.selector,
        name: cpu.name,
        driver: cpu.driver,
        kind: cpu.kind.to_string(),
        compute_units: cpu.compute_units,
        memory_bytes: cpu.memory,
        max_alloc_bytes: cpu.max_alloc,
    }];
    match OpenCl::list() {
        Ok(devices) => {
            found.extend(devices.into_iter().map(|info| Listed {
                selector: format!("{OPENCL}:{}", info.index),
                kind: kind(&info).to_string(),
                driver: format!("{} {}", info.platform, info.driver),
                name: info.name,
                compute_units: info.compute_units,
                memory_bytes: info.global_memory,
                max_alloc_bytes: info.max_alloc,
            }));
            (found, None)
        }
        Err(missing) => (found, Some(missing)),
    }
}
