//! Accounting, limits, reuse, and giving memory back.

use starkwright_hal::HalError;
use starkwright_kernels::{DeviceInfo, Options, Runtime};

use crate::{add, on_every_device, open, options, words};

fn limited(device: &DeviceInfo, memory_limit: Option<u64>, max_alloc: Option<u64>) -> Runtime {
    let options = Options {
        memory_limit,
        max_alloc,
        ..options()
    };
    Runtime::open(device, options).unwrap()
}

#[test]
fn the_memory_limit_holds_and_names_what_is_left() {
    on_every_device(|device| {
        let rt = limited(device, Some(10_000), None);
        let first = rt.alloc(1500).unwrap();
        match rt.alloc(1001) {
            Err(HalError::OutOfMemory {
                requested,
                available,
                ..
            }) => {
                assert_eq!((requested, available), (4004, 4000));
            }
            other => panic!("{other:?}"),
        }
        assert!(rt.upload(&words(1001)).is_err());
        assert!(rt.adopt(words(1001)).is_err());
        let second = rt.alloc(1000).unwrap();
        let s = rt.statistics();
        assert_eq!((s.live_bytes, s.peak_bytes), (10_000, 10_000));
        drop(first);
        // Kept memory does not stand in the way of another size.
        let third = rt.alloc(700).unwrap();
        let fourth = rt.alloc(800).unwrap();
        drop((second, third, fourth));
        assert_eq!(rt.statistics().live_bytes, 0);
    });
}

#[test]
fn the_largest_allocation_holds() {
    on_every_device(|device| {
        let rt = limited(device, None, Some(4000));
        assert_eq!(rt.max_alloc_words(), 1000);
        rt.alloc(1000).unwrap();
        match rt.alloc(1001) {
            Err(HalError::OutOfMemory {
                requested,
                available,
                ..
            }) => {
                assert_eq!((requested, available), (4004, 4000));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            rt.alloc(usize::MAX),
            Err(HalError::OutOfMemory { .. })
        ));
        // The override only lowers the device's own limit.
        let rt = limited(device, None, Some(u64::MAX));
        assert_eq!(rt.max_alloc_words() as u64, device.max_alloc / 4);
    });
}

#[test]
fn dropped_memory_is_reused_in_the_queues_order() {
    on_every_device(|device| {
        let rt = open(device);
        let result = rt.alloc(100_000).unwrap();
        rt.fill(&result, 0, 100_000, 0).unwrap();
        for round in 1..=10u32 {
            // Dropped while its commands wait: the next round's buffer is the same memory.
            let temporary = rt.alloc(100_000).unwrap();
            rt.fill(&temporary, 0, 100_000, round).unwrap();
            add(&rt, &temporary, 0).unwrap();
            rt.copy(&temporary, 0, &result, round as usize * 9_000, 9_000)
                .unwrap();
        }
        let got = rt.read_vec::<u32>(&result, 0, 100_000).unwrap();
        for round in 1..=10usize {
            let part = &got[round * 9_000..(round + 1) * 9_000];
            assert!(part.iter().all(|w| *w == round as u32 + 1), "round {round}");
        }
        let s = rt.statistics();
        assert_eq!(
            (s.reused, s.peak_bytes, s.kept_bytes),
            (9, 800_000, 400_000)
        );
    });
}

#[test]
fn what_is_kept_never_raises_the_peak() {
    on_every_device(|device| {
        let rt = open(device);
        for size in [1000, 3000, 500, 2000, 4000, 10, 3900] {
            let a = rt.alloc(size).unwrap();
            let b = rt.alloc(size / 2).unwrap();
            drop(a);
            let s = rt.statistics();
            assert!(s.live_bytes + s.kept_bytes <= s.peak_bytes, "{s:?}");
            drop(b);
        }
        rt.trim();
        assert_eq!(rt.statistics().kept_bytes, 0);
    });
}

#[test]
fn all_host_memory_comes_back() {
    on_every_device(|device| {
        let rt = open(device);
        for _ in 0..3 {
            let buffers = [
                rt.alloc(1_000_000).unwrap(),
                rt.upload(&words(100_000)).unwrap(),
                rt.adopt(words(50_000)).unwrap(),
            ];
            for buffer in &buffers {
                add(&rt, buffer, 1).unwrap();
                drop(rt.map::<u32>(buffer, 0, 1).unwrap());
                add(&rt, buffer, 1).unwrap();
            }
            // Dropped with commands waiting.
            drop(buffers);
            rt.finish().unwrap();
            rt.trim();
        }
        // Some drivers delete an object a moment after its last command.
        for _ in 0..200 {
            if rt.statistics().host_bytes == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let s = rt.statistics();
        assert_eq!((s.live_bytes, s.kept_bytes, s.host_bytes), (0, 0, 0));
    });
}

#[test]
fn fresh_memory_is_poisoned_in_debug_builds() {
    on_every_device(|device| {
        let rt = open(device);
        let buffer = rt.upload(&vec![5u32; 1000]).unwrap();
        drop(buffer);
        let reused = rt.alloc(1000).unwrap();
        let expected = if cfg!(debug_assertions) { u32::MAX } else { 5 };
        assert_eq!(*rt.map::<u32>(&reused, 0, 1000).unwrap(), [expected; 1000]);
    });
}
