//! Failures: each is an error, nothing panics, and a fresh runtime works afterwards.

use std::process::Command;
use std::time::{Duration, Instant};

use starkwright_hal::{Device, HalError};
use starkwright_kernels::{Arg, DeviceInfo, FaultPlan, OpenCl, Options, Runtime};

use crate::{add, kernel, on_every_device, open, options, source};

fn with_faults(device: &DeviceInfo, faults: FaultPlan) -> Runtime {
    let options = Options {
        faults: Some(faults),
        ..options()
    };
    Runtime::open(device, options).unwrap()
}

/// A small job with every kind of call in it; its result is known.
fn job(rt: &Runtime) -> Result<(), HalError> {
    let a = rt.upload(&[1u32; 256])?;
    let b = rt.alloc(256)?;
    add(rt, &a, 1)?;
    rt.copy(&a, 0, &b, 0, 256)?;
    add(rt, &b, 4)?;
    let got = rt.read_vec::<u32>(&b, 0, 256)?;
    let seen = rt.map::<u32>(&b, 0, 256)?;
    if got != [8; 256] || *seen != [8; 256] {
        return Err(HalError::Mismatch {
            device: rt.info().name.clone(),
            op: "job",
            detail: "wrong words".to_owned(),
        });
    }
    Ok(())
}

/// As [`job`], where `add` is built by the caller first.
fn warm(rt: &Runtime) {
    rt.program(&source(1)).unwrap();
}

#[test]
fn every_allocation_can_fail() {
    on_every_device(|device| {
        let count = FaultPlan::counting();
        job(&with_faults(device, count.clone())).unwrap();
        let total = count.counts().allocations;
        assert_eq!(total, 2);
        for n in 1..=total {
            let rt = with_faults(device, FaultPlan::default().fail_allocation(n));
            let result = job(&rt);
            assert!(
                matches!(result, Err(HalError::OutOfMemory { .. })),
                "{result:?}"
            );
            // Out of memory is not the end: the same runtime goes on.
            assert_eq!(rt.statistics().live_bytes, 0);
            job(&rt).unwrap();
        }
    });
}

#[test]
fn every_build_can_fail() {
    on_every_device(|device| {
        let rt = with_faults(device, FaultPlan::default().fail_build(1));
        assert!(matches!(
            rt.program(&source(1)),
            Err(HalError::Build { .. })
        ));
        job(&rt).unwrap();
    });
}

#[test]
fn a_lost_device_stays_lost_and_another_runtime_works() {
    on_every_device(|device| {
        for n in 1..=2 {
            let rt = with_faults(device, FaultPlan::default().lose_at_launch(n));
            assert!(matches!(job(&rt), Err(HalError::DeviceLost { .. })));
            assert!(matches!(rt.alloc(1), Err(HalError::DeviceLost { .. })));
            assert!(matches!(
                rt.program(&source(1)),
                Err(HalError::DeviceLost { .. })
            ));
            assert!(matches!(rt.finish(), Err(HalError::DeviceLost { .. })));
            assert_eq!(rt.statistics().live_bytes, 0);
        }
        job(&open(device)).unwrap();
    });
}

#[test]
fn a_hung_launch_meets_the_deadline() {
    on_every_device(|device| {
        for n in 1..=2 {
            let options = Options {
                faults: Some(FaultPlan::default().hang_at_launch(n)),
                deadline: Duration::from_millis(500),
                ..options()
            };
            let rt = Runtime::open(device, options).unwrap();
            warm(&rt);
            let start = Instant::now();
            assert!(matches!(job(&rt), Err(HalError::DeviceLost { .. })));
            let waited = start.elapsed();
            assert!(waited >= Duration::from_millis(500), "{waited:?}");
            // At once, from now on.
            let start = Instant::now();
            assert!(matches!(rt.finish(), Err(HalError::DeviceLost { .. })));
            assert!(start.elapsed() < Duration::from_millis(100));
        }
        job(&open(device)).unwrap();
    });
}

/// Enqueues `count` launches of `spin` with `items` work-items each.
fn spin(rt: &Runtime, items: usize, count: usize) -> Result<(), HalError> {
    let buffer = rt.upload(&[0u32; 64])?;
    let spin = kernel(rt, "spin");
    for _ in 0..count {
        rt.launch(
            &spin,
            [items, 1, 1],
            Some([1, 1, 1]),
            &[Arg::Buffer(&buffer)],
        )?;
    }
    Ok(())
}

/// Oclgrind runs kernels inside the calls that wait, which cannot be left, and in one thread at a time.
fn runs_in_the_background(device: &DeviceInfo) -> bool {
    let simulated = device.platform == "Oclgrind";
    if simulated {
        println!("skipped: Oclgrind runs kernels in the calling thread");
    }
    !simulated
}

#[test]
fn a_kernel_that_really_runs_too_long_meets_the_deadline() {
    on_every_device(|device| {
        if !runs_in_the_background(device) {
            return;
        }
        // Ten times as long at a kernel's first launch, which may have to be compiled.
        let deadline = Duration::from_millis(300);
        // Four times the work until the device needs longer than the deadline.
        for doubling in 0..14 {
            let options = Options {
                deadline,
                ..options()
            };
            let rt = Runtime::open(device, options).unwrap();
            spin(&rt, 64, 1).unwrap();
            rt.finish().unwrap();
            let staged = rt.alloc(64).unwrap();
            spin(&rt, 64 << (2 * doubling), 1).unwrap();
            rt.write(&staged, 0, &[0u32; 64]).unwrap();
            match rt.finish() {
                Ok(()) => continue,
                Err(HalError::DeviceLost { .. }) => {}
                other => panic!("{other:?}"),
            }
            // All of it goes while the kernel still runs, and the process lives on.
            drop((staged, rt));
            std::thread::sleep(Duration::from_millis(500));
            job(&open(device)).unwrap();
            return;
        }
        panic!("no kernel took long enough");
    });
}

#[test]
fn a_first_launch_may_take_longer_than_the_deadline() {
    on_every_device(|device| {
        if !runs_in_the_background(device) {
            return;
        }
        let rt = open(device);
        spin(&rt, 64, 1).unwrap();
        rt.finish().unwrap();
        let (items, time) = (6..24)
            .map(|log_items| {
                let (items, start) = (1 << log_items, Instant::now());
                spin(&rt, items, 1).unwrap();
                rt.finish().unwrap();
                (items, start.elapsed())
            })
            .find(|(_, time)| *time > Duration::from_millis(400))
            .expect("some work takes so long");
        // A busy machine may take half or twice the time now. The end of the upload before it starts the clock again.
        let deadline = time / 4;
        let options = Options {
            deadline,
            ..options()
        };
        let rt = Runtime::open(device, options).unwrap();
        spin(&rt, items, 1).unwrap();
        rt.finish().unwrap();
        spin(&rt, items, 1).unwrap();
        assert!(matches!(rt.finish(), Err(HalError::DeviceLost { .. })));
    });
}

/// A job that fails half-way leaves commands behind. The last handle waits for them before it gives their memory back:
/// rusticl would let go of it while they run.
#[test]
fn a_runtime_may_be_dropped_while_its_commands_wait() {
    on_every_device(|device| {
        if !runs_in_the_background(device) {
            return;
        }
        let rt = with_faults(device, FaultPlan::default().lose_at_launch(17));
        spin(&rt, 2048, 1).unwrap();
        rt.finish().unwrap();
        let start = Instant::now();
        spin(&rt, 2048, 7).unwrap();
        rt.finish().unwrap();
        let whole = start.elapsed();
        spin(&rt, 2048, 8).unwrap();
        let lost = spin(&rt, 1, 1);
        assert!(matches!(lost, Err(HalError::DeviceLost { .. })));
        let start = Instant::now();
        drop(rt);
        let waited = start.elapsed();
        assert!(waited > whole / 8, "{waited:?} of {whole:?}");
        job(&open(device)).unwrap();
    });
}

/// A command may find no memory when it runs. Neither statistics nor another thread's wait takes the error from whoever
/// reads what it should have written.
#[test]
fn a_failed_command_is_reported_while_its_data_lives() {
    on_every_device(|device| {
        let rt = with_faults(device, FaultPlan::default().exhaust_at_launch(2));
        let backend = OpenCl::over(rt.clone());
        let full = |result: Result<(), HalError>| {
            let is = matches!(result, Err(HalError::OutOfMemory { .. }));
            assert!(is, "{result:?}");
        };
        let buffer = rt.upload(&[1u32; 256]).unwrap();
        add(&rt, &buffer, 1).unwrap();
        add(&rt, &buffer, 1).unwrap();
        let _ = backend.statistics();
        backend.reset_statistics();
        std::thread::scope(|scope| {
            scope.spawn(|| full(rt.finish()));
        });
        full(rt.read(&buffer, 0, &mut [0u32; 256]));
        full(rt.map::<u32>(&buffer, 0, 256).map(drop));
        let copy = rt.alloc(256).unwrap();
        rt.copy(&buffer, 0, &copy, 0, 256).unwrap();
        drop(buffer);
        full(rt.read(&copy, 0, &mut [0u32; 256]));
        // Nothing wrong is left.
        drop(copy);
        job(&rt).unwrap();

        // An error that nobody was told of outlives the data.
        let rt = with_faults(device, FaultPlan::default().exhaust_at_launch(1));
        let buffer = rt.upload(&[1u32; 256]).unwrap();
        add(&rt, &buffer, 1).unwrap();
        drop(buffer);
        let _ = OpenCl::over(rt.clone()).statistics();
        full(rt.finish());
        job(&rt).unwrap();
    });
}

#[test]
fn a_map_can_fail() {
    on_every_device(|device| {
        let count = FaultPlan::counting();
        job(&with_faults(device, count.clone())).unwrap();
        assert_eq!(count.counts().maps, 1);
        let rt = with_faults(device, FaultPlan::default().fail_map(1));
        let result = job(&rt);
        assert!(
            matches!(
                result,
                Err(HalError::Driver {
                    call: "clEnqueueMapBuffer",
                    ..
                })
            ),
            "{result:?}"
        );
        job(&rt).unwrap();
    });
}

#[test]
fn many_short_commands_may_take_longer_than_the_deadline() {
    on_every_device(|device| {
        if !runs_in_the_background(device) {
            return;
        }
        // Long enough that a busy machine does not miss it, and that rusticl, which reports commands in the batches
        // they were flushed in, reports some.
        let deadline = Duration::from_millis(1000);
        let options = Options {
            deadline,
            ..options()
        };
        let rt = Runtime::open(device, options).unwrap();
        for doubling in 0..16 {
            let start = Instant::now();
            spin(&rt, 64, 16 << doubling).unwrap();
            rt.finish().unwrap();
            if start.elapsed() > deadline {
                return;
            }
        }
        panic!("too fast to show anything");
    });
}

#[test]
fn a_flipped_read_delivers_a_wrong_word() {
    on_every_device(|device| {
        for n in 1..=2 {
            let rt = with_faults(device, FaultPlan::default().flip_read(n));
            assert!(
                matches!(job(&rt), Err(HalError::Mismatch { .. })),
                "read {n}"
            );
            job(&rt).unwrap();
        }
        // A map's flip does not reach the buffer.
        let rt = with_faults(device, FaultPlan::default().flip_read(1));
        let buffer = rt.upload(&[7u32; 3]).unwrap();
        assert_eq!(*rt.map::<u32>(&buffer, 0, 3).unwrap(), [7, 6, 7]);
        assert_eq!(*rt.map::<u32>(&buffer, 0, 3).unwrap(), [7, 7, 7]);
    });
}

#[test]
fn threads_may_share_a_runtime() {
    on_every_device(|device| {
        if !runs_in_the_background(device) {
            return;
        }
        let rt = open(device);
        warm(&rt);
        std::thread::scope(|scope| {
            for value in 0..4u32 {
                let rt = &rt;
                scope.spawn(move || {
                    for _ in 0..25 {
                        let buffer = rt.upload(&vec![value; 500]).unwrap();
                        add(rt, &buffer, value).unwrap();
                        let expected = [2 * value + 1; 500];
                        assert_eq!(*rt.map::<u32>(&buffer, 0, 500).unwrap(), expected);
                    }
                });
            }
        });
        assert_eq!(rt.statistics().live_bytes, 0);
    });
}

/// Run by the next test in a process of its own, with a library that cannot be loaded.
#[test]
#[ignore = "run by a_missing_library_is_an_error"]
fn lists_without_a_library() {
    assert!(matches!(
        Runtime::list(),
        Err(HalError::LibraryMissing { .. })
    ));
}

#[test]
#[cfg(target_os = "linux")]
fn a_missing_library_is_an_error() {
    // The first file of that name on the path decides, and this one is no library.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("libOpenCL.so.1"), "").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "faults::lists_without_a_library"])
        .env("LD_LIBRARY_PATH", folder.path())
        .env_remove("OPENCL_DYLIB_PATH")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
