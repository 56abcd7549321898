//! Programs from source, from binaries, from the disk cache; and what is refused.

use std::fs;
use std::path::Path;

use starkwright_hal::HalError;
use starkwright_kernels::{
    Arg, DeviceInfo, Kernel, Manifest, Options, ProgramSource, Requirements, Runtime,
};

use crate::{kernel, on_every_device, open, options, source};

/// Whether `add` of this program, built with `STEP = step`, computes what it should.
fn adds(rt: &Runtime, program: &ProgramSource, step: u32) {
    let program = rt.program(program).unwrap();
    let add: Kernel = rt.kernel(&program, "add").unwrap();
    let buffer = rt.upload(&[1u32, 2, 3, 4]).unwrap();
    let args = [Arg::Buffer(&buffer), Arg::U32(10), Arg::U64(3)];
    rt.launch(&add, [4, 1, 1], None, &args).unwrap();
    let expected = [11 + step, 12 + step, 13 + step, 4];
    assert_eq!(rt.read_vec::<u32>(&buffer, 0, 4).unwrap(), expected);
}

#[test]
fn source_is_compiled_once_for_each_set_of_options() {
    on_every_device(|device| {
        let rt = open(device);
        adds(&rt, &source(1), 1);
        adds(&rt, &source(2), 2);
        adds(&rt, &source(1), 1);
        let s = rt.statistics();
        assert_eq!((s.programs_compiled, s.programs_cached), (2, 0));
        assert!(s.build_seconds > 0.0);
        assert_eq!(s.command("add").unwrap().count, 3);
        let names = rt.program(&source(1)).unwrap().kernel_names();
        assert_eq!(names, ["add", "spin", "sum"]);
    });
}

#[test]
fn local_memory_and_work_groups() {
    on_every_device(|device| {
        let rt = open(device);
        let data = rt.upload(&vec![3u32; 1000]).unwrap();
        let out = rt.alloc(1).unwrap();
        let args = [
            Arg::Buffer(&data),
            Arg::Buffer(&out),
            Arg::Local(32 * 4),
            Arg::U32(1000),
        ];
        rt.launch(&kernel(&rt, "sum"), [32, 1, 1], Some([32, 1, 1]), &args)
            .unwrap();
        assert_eq!(rt.read_vec::<u32>(&out, 0, 1).unwrap(), [3000]);
    });
}

#[test]
fn launches_that_do_not_fit_are_refused() {
    on_every_device(|device| {
        let rt = open(device);
        let buffer = rt.alloc(64).unwrap();
        let add = kernel(&rt, "add");
        let one = [64, 1, 1];
        let refused = |global, local, args: &[Arg<'_>]| {
            let result = rt.launch(&add, global, local, args);
            assert!(
                matches!(result, Err(HalError::InvalidArgument { .. })),
                "{result:?}"
            );
        };
        let (b, v, n) = (Arg::Buffer(&buffer), Arg::U32(1), Arg::U64(64));
        refused(one, None, &[b, v]);
        refused(one, None, &[b, v, n, n]);
        refused(one, None, &[b, b, n]);
        refused(one, None, &[v, v, n]);
        refused(one, None, &[Arg::Local(4), v, n]);
        refused([64, 0, 1], None, &[b, v, n]);
        refused([65, 1, 1], Some([64, 1, 1]), &[b, v, n]);
        refused(one, Some([0, 1, 1]), &[b, v, n]);
        let most = device.max_work_group;
        refused([2 * most, 1, 1], Some([2 * most, 1, 1]), &[b, v, n]);
        // A value of the wrong size is the driver's to refuse.
        assert!(rt.launch(&add, one, None, &[b, n, n]).is_err());
        let foreign = open(device).alloc(64).unwrap();
        refused(one, None, &[Arg::Buffer(&foreign), v, n]);
        let other = open(device);
        let foreign = rt.launch(&kernel(&other, "add"), one, None, &[b, v, n]);
        assert!(matches!(foreign, Err(HalError::InvalidArgument { .. })));
        rt.launch(&add, one, None, &[b, v, n]).unwrap();
        rt.finish().unwrap();

        // A device whose work-groups are narrow, though they may be large.
        let mut narrow = device.clone();
        narrow.max_work_items[0] = 32;
        let rt = open(&narrow);
        let buffer = rt.alloc(64).unwrap();
        assert!(matches!(
            super::add(&rt, &buffer, 1),
            Err(HalError::InvalidArgument { .. })
        ));
    });
}

/// Some drivers keep a kernel's last buffers, also those of a launch that was refused half-way.
#[test]
fn a_refused_launch_keeps_no_memory() {
    on_every_device(|device| {
        let rt = open(device);
        let [data, out] = [64, 1].map(|words| rt.alloc(words).unwrap());
        let (sum, one) = (kernel(&rt, "sum"), [16, 1, 1]);
        let mapped = rt.map::<u32>(&out, 0, 1).unwrap();
        let args = [
            Arg::Buffer(&data),
            Arg::Buffer(&out),
            Arg::Local(64),
            Arg::U32(64),
        ];
        let launched = rt.launch(&sum, one, Some(one), &args);
        assert_eq!(launched.is_err(), device.host_unified);
        drop(mapped);
        drop((data, out));
        rt.finish().unwrap();
        rt.trim();
        for _ in 0..200 {
            if rt.statistics().host_bytes == 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{} bytes are kept", rt.statistics().host_bytes);
    });
}

#[test]
fn an_unknown_kernel_is_named() {
    on_every_device(|device| {
        let rt = open(device);
        let program = rt.program(&source(1)).unwrap();
        match rt.kernel(&program, "subtract") {
            Err(HalError::InvalidArgument { why, .. }) => {
                assert!(why.contains("subtract") && why.contains("add"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_build_failure_brings_the_log() {
    on_every_device(|device| {
        let rt = open(device);
        let text = "__kernel void k(__global uint *p) { p[0] = no_such_name; }";
        for _ in 0..2 {
            match rt.program(&ProgramSource::source("broken", [text], "")) {
                Err(HalError::Build { kernel, log, .. }) => {
                    assert_eq!(kernel, "broken");
                    assert!(log.contains("no_such_name"), "{log}");
                }
                other => panic!("{other:?}"),
            }
        }
        adds(&rt, &source(1), 1);
    });
}

/// The program as a binary; `None` (and a line) where the driver gives none.
fn export(device: &DeviceInfo, step: u32) -> Option<(Vec<u8>, Manifest)> {
    let rt = open(device);
    match rt
        .program(&source(step))
        .unwrap()
        .binary("koalabear", &[16, 24], 1 << 22)
    {
        Err(HalError::Unsupported { why, .. }) => {
            println!("skipped: {why}");
            None
        }
        exported => Some(exported.unwrap()),
    }
}

fn binary(bytes: &[u8], manifest: &Manifest, requires: Requirements) -> ProgramSource {
    ProgramSource::binary("exported", bytes, manifest.clone(), requires)
}

#[test]
fn a_binary_computes_as_its_source_does() {
    on_every_device(|device| {
        let Some((bytes, manifest)) = export(device, 5) else {
            return;
        };
        // As it would travel: beside the binary, as text.
        let text = serde_json::to_string(&manifest).unwrap();
        let manifest: Manifest = serde_json::from_str(&text).unwrap();
        let rt = open(device);
        let requires = Requirements {
            source_hash: Some(source(5).hash()),
            options: Some("-DSTEP=5u".to_owned()),
            field: Some("koalabear".to_owned()),
            widths: vec![16],
            rows: 1 << 20,
            unlimited: false,
            kernels: manifest.kernels.clone(),
        };
        adds(&rt, &binary(&bytes, &manifest, requires), 5);
        assert_eq!(rt.statistics().programs_compiled, 0);
        // Exported again, it is still known for what it was made from.
        let again = rt
            .program(&binary(&bytes, &manifest, Requirements::default()))
            .unwrap();
        let (_, exported) = again.binary("koalabear", &[16, 24], 1 << 22).unwrap();
        assert_eq!(exported.source_hash, source(5).hash());
        assert_eq!(exported.kernels, manifest.kernels);
    });
}

#[test]
fn a_binary_that_is_not_the_wanted_one_never_reaches_the_driver() {
    on_every_device(|device| {
        let Some((bytes, good)) = export(device, 6) else {
            return;
        };
        let rt = open(device);
        let none = Requirements::default();
        let refused =
            |bytes: &[u8], manifest: &Manifest, requires: &Requirements, why: &str| match rt
                .program(&binary(bytes, manifest, requires.clone()))
            {
                Err(HalError::Build { log, .. }) => assert!(log.contains(why), "{log}"),
                other => panic!("{other:?}"),
            };
        refused(&bytes[..bytes.len() / 2], &good, &none, "length");
        refused(&[], &good, &none, "length");
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        refused(&flipped, &good, &none, "checksum");
        let other = |change: fn(&mut Manifest)| {
            let mut manifest = good.clone();
            change(&mut manifest);
            manifest
        };
        refused(&bytes, &other(|m| m.format += 1), &none, "format");
        refused(&bytes, &other(|m| m.platform.push('x')), &none, "platform");
        refused(&bytes, &other(|m| m.device.push('x')), &none, "device");
        refused(&bytes, &other(|m| m.driver.push('x')), &none, "driver");
        refused(
            &bytes,
            &other(|m| m.version.push('x')),
            &none,
            "OpenCL version",
        );
        let wants = |change: fn(&mut Requirements)| {
            let mut requires = Requirements::default();
            change(&mut requires);
            requires
        };
        refused(
            &bytes,
            &good,
            &wants(|r| r.source_hash = Some([0; 32])),
            "other sources",
        );
        refused(
            &bytes,
            &good,
            &wants(|r| r.options = Some("-DSTEP=7u".to_owned())),
            "options",
        );
        refused(
            &bytes,
            &good,
            &wants(|r| r.field = Some("babybear".to_owned())),
            "field",
        );
        refused(
            &bytes,
            &good,
            &wants(|r| r.widths = vec![16, 17]),
            "width 17",
        );
        refused(&bytes, &good, &wants(|r| r.rows = (1 << 22) + 1), "rows");
        refused(&bytes, &good, &wants(|r| r.unlimited = true), "serve all");
        let mut wanted = good.kernels.clone();
        wanted[0].args.pop();
        let requires = Requirements {
            kernels: wanted.clone(),
            ..none.clone()
        };
        refused(&bytes, &good, &requires, "takes");
        wanted[0].name = "subtract".to_owned();
        let requires = Requirements {
            kernels: wanted,
            ..none.clone()
        };
        refused(&bytes, &good, &requires, "no kernel subtract");
        // A manifest that lies about a kernel is found out when the kernel is made.
        let lying = other(|m| {
            m.kernels[0].args.pop();
        });
        let program = rt.program(&binary(&bytes, &lying, none)).unwrap();
        assert!(matches!(
            rt.kernel(&program, "add"),
            Err(HalError::Build { .. })
        ));
    });
}

#[test]
fn built_in_kernels_must_be_the_devices() {
    on_every_device(|device| {
        let rt = open(device);
        for names in [vec!["starkwright.lde".to_owned()], Vec::new()] {
            let result = rt.program(&ProgramSource::BuiltIn { names });
            assert!(
                matches!(result, Err(HalError::Unsupported { .. })),
                "{result:?}"
            );
        }
        if let Some(name) = device.built_in_kernels.first() {
            let names = vec![name.clone()];
            match rt.program(&ProgramSource::BuiltIn { names }) {
                Ok(program) => assert!(program.kernel_names().contains(name)),
                // PoCL 3.1 lists kernels for its CPU whose sources Debian's package does not compile.
                Err(HalError::Build { log, .. }) => println!("{name} does not build: {log}"),
                Err(other) => panic!("{other}"),
            }
        }
    });
}

fn cached(device: &DeviceInfo, folder: &Path) -> Runtime {
    let options = Options {
        disk_cache: true,
        cache_dir: Some(folder.to_owned()),
        ..options()
    };
    Runtime::open(device, options).unwrap()
}

#[test]
fn a_second_process_loads_what_the_first_compiled() {
    on_every_device(|device| {
        let folder = tempfile::tempdir().unwrap();
        let gives_binaries = export(device, 7).is_some();
        adds(&cached(device, folder.path()), &source(7), 7);
        let rt = cached(device, folder.path());
        adds(&rt, &source(7), 7);
        let s = rt.statistics();
        let cached = u64::from(gives_binaries);
        assert_eq!(
            (s.programs_cached, s.programs_compiled),
            (cached, 1 - cached)
        );
        // Launches are checked as they were in the first.
        let program = rt.program(&source(7)).unwrap();
        let add = rt.kernel(&program, "add").unwrap();
        let wrong = [Arg::U32(0), Arg::U32(0), Arg::U64(0)];
        let result = rt.launch(&add, [1, 1, 1], None, &wrong);
        assert!(
            matches!(result, Err(HalError::InvalidArgument { .. })),
            "{result:?}"
        );
    });
}

#[test]
fn a_corrupt_cache_is_rebuilt() {
    on_every_device(|device| {
        if export(device, 8).is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        adds(&cached(device, folder.path()), &source(8), 8);
        let file = fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let good = fs::read(&file).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 0x40;
        for bad in [&good[..good.len() / 2], &good[..10], &[], &flipped] {
            fs::write(&file, bad).unwrap();
            let rt = cached(device, folder.path());
            adds(&rt, &source(8), 8);
            let s = rt.statistics();
            assert_eq!(
                (s.programs_compiled, s.programs_cached, s.cache_rejected),
                (1, 0, 1)
            );
            // And the file is whole again.
            let rt = cached(device, folder.path());
            adds(&rt, &source(8), 8);
            assert_eq!(rt.statistics().programs_cached, 1);
        }
    });
}

#[test]
fn a_cache_that_cannot_be_written_costs_nothing_but_time() {
    on_every_device(|device| {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        fs::write(&blocked, "not a folder").unwrap();
        adds(&cached(device, &blocked), &source(9), 9);
    });
}

/// The device as one without a compiler, with a folder of programs.
fn offline(device: &DeviceInfo, folder: Option<&Path>) -> Runtime {
    let options = Options {
        compiler: false,
        programs: folder.map(Path::to_owned),
        ..options()
    };
    Runtime::open(device, options).unwrap()
}

/// What is said about a program that does not load.
fn why_not(rt: &Runtime, program: &ProgramSource) -> String {
    match rt.program(program) {
        Err(HalError::Build { log, .. }) => log,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_compiler_the_missing_file_is_named() {
    on_every_device(|device| {
        let folder = tempfile::tempdir().unwrap();
        let log = why_not(&offline(device, None), &source(1));
        assert!(log.contains("no folder") && log.contains(" test-"), "{log}");
        let rt = offline(device, Some(folder.path()));
        let log = why_not(&rt, &source(1));
        let start = folder.path().join("test-").display().to_string();
        assert!(
            log.contains(&start) && log.contains(".bin is missing"),
            "{log}"
        );
        // Text, options and variant are part of the name.
        assert_ne!(log, why_not(&rt, &source(2)));
        assert_eq!(rt.statistics().programs_compiled, 0);
        // Where there is a compiler, an empty folder is no error.
        let options = Options {
            programs: Some(folder.path().to_owned()),
            ..options()
        };
        adds(&Runtime::open(device, options).unwrap(), &source(1), 1);
    });
}

#[test]
fn a_folder_of_programs_stands_for_a_compiler() {
    on_every_device(|device| {
        let Some((bytes, mut manifest)) = export(device, 10) else {
            return;
        };
        manifest.field = String::new();
        manifest.widths.clear();
        manifest.max_rows = 0;
        let folder = tempfile::tempdir().unwrap();
        let rt = offline(device, Some(folder.path()));
        // The files' name, as the message tells it.
        let log = why_not(&rt, &source(10));
        let path = log.split_whitespace().find(|word| word.ends_with(".bin"));
        let path = Path::new(path.unwrap());
        let write = |manifest: &Manifest| {
            let text = serde_json::to_vec(manifest).unwrap();
            fs::write(path.with_extension("json"), text).unwrap();
        };
        fs::write(path, &bytes).unwrap();
        assert!(why_not(&rt, &source(10)).contains(".json is missing"));
        write(&manifest);
        adds(&rt, &source(10), 10);
        let s = rt.statistics();
        assert_eq!((s.programs_compiled, s.programs_loaded), (0, 1));

        // What is there and wrong is refused, even where there is a compiler.
        let other = Options {
            programs: Some(folder.path().to_owned()),
            ..options()
        };
        let rt = Runtime::open(device, other).unwrap();
        let wrong = |change: fn(&mut Manifest), why: &str| {
            let mut wrong = manifest.clone();
            change(&mut wrong);
            write(&wrong);
            let log = why_not(&rt, &source(10));
            assert!(log.contains(why), "{log}");
        };
        wrong(|m| m.source_hash[0] ^= 1, "other sources");
        wrong(|m| m.options.push('x'), "options");
        wrong(|m| m.field = "babybear".to_owned(), "field");
        wrong(|m| m.driver.push('x'), "driver");
        wrong(|m| m.max_rows = 1 << 20, "serve all");
        wrong(|m| m.kernels.truncate(1), "no kernel");
        wrong(
            |m| {
                m.kernels[0].args.pop();
            },
            "takes",
        );
        write(&manifest);
        fs::write(path, &bytes[1..]).unwrap();
        assert!(why_not(&rt, &source(10)).contains("damaged"));
        fs::write(path.with_extension("json"), "{").unwrap();
        assert!(why_not(&rt, &source(10)).contains(".json: "));
        assert_eq!(rt.statistics().programs_compiled, 0);
    });
}
