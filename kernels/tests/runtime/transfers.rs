//! Words there and back again.

use p3_koala_bear::KoalaBear;
use starkwright_hal::HalError;
use starkwright_kernels::{Arg, DeviceInfo, Matrix, Options, Rect, Runtime};

use crate::{add, kernel, on_every_device, open, words};

#[test]
fn uploads_writes_reads_and_maps() {
    on_every_device(|device| {
        let rt = open(device);
        for n in [1, 5, 1000, 70_001] {
            let data = words(n);
            let buffer = rt.upload(&data).unwrap();
            assert_eq!(rt.read_vec::<u32>(&buffer, 0, n).unwrap(), data);
            assert_eq!(*rt.map::<u32>(&buffer, 0, n).unwrap(), data);

            let (at, some) = (n / 3, n / 2);
            rt.write(&buffer, at, &vec![7u32; some]).unwrap();
            let mut expected = data;
            expected[at..at + some].fill(7);
            assert_eq!(*rt.map::<u32>(&buffer, 0, n).unwrap(), expected);
            assert_eq!(*rt.map::<u32>(&buffer, at, n - at).unwrap(), expected[at..]);
            assert_eq!(
                rt.read_vec::<u32>(&buffer, at, some).unwrap(),
                vec![7; some]
            );
        }
    });
}

#[test]
fn field_elements_keep_their_words() {
    on_every_device(|device| {
        let rt = open(device);
        let data: Vec<KoalaBear> = (0..100).map(KoalaBear::new).collect();
        let buffer = rt.adopt(data.clone()).unwrap();
        assert_eq!(*rt.map::<KoalaBear>(&buffer, 0, 100).unwrap(), data);
        // 1 in Montgomery form is 2^32 mod p, p = 2^31 − 2^24 + 1.
        assert_eq!(rt.read_vec::<u32>(&buffer, 1, 1).unwrap(), [0x01FF_FFFE]);
    });
}

#[test]
fn an_adopted_vector_is_read_and_written_by_kernels() {
    on_every_device(|device| {
        let rt = open(device);
        let mut expected = words(12_345);
        let before = rt.statistics().bytes_up;
        let buffer = rt.adopt(expected.clone()).unwrap();
        if device.host_unified {
            assert_eq!(rt.statistics().bytes_up, before, "adoption copied");
        }
        add(&rt, &buffer, 4).unwrap();
        expected.iter_mut().for_each(|w| *w = w.wrapping_add(5));
        assert_eq!(
            *rt.map::<u32>(&buffer, 0, expected.len()).unwrap(),
            expected
        );
    });
}

#[test]
fn writes_behind_waiting_commands_keep_the_order() {
    on_every_device(|device| {
        let rt = open(device);
        let buffer = rt.upload(&vec![0u32; 1 << 16]).unwrap();
        for round in 0..5u32 {
            add(&rt, &buffer, round).unwrap();
            // Staged, and overwritten here before the device reads it.
            let mut data = vec![round; 100];
            rt.write(&buffer, 100 * round as usize, &data).unwrap();
            data.fill(99);
        }
        let got = rt.read_vec::<u32>(&buffer, 0, 600).unwrap();
        for round in 0..5u32 {
            let later: u32 = (round + 1..5).map(|r| r + 1).sum();
            assert_eq!(got[100 * round as usize], round + later);
        }
        assert_eq!(got[500], 15);
    });
}

#[test]
fn copies_fills_and_panels() {
    on_every_device(|device| {
        let rt = open(device);
        let data = words(1000);
        let from = rt.upload(&data).unwrap();
        let to = rt.alloc(1000).unwrap();
        rt.fill(&to, 0, 1000, 3).unwrap();
        rt.copy(&from, 10, &to, 500, 200).unwrap();
        let mut expected = vec![3; 1000];
        expected[500..700].copy_from_slice(&data[10..210]);
        assert_eq!(*rt.map::<u32>(&to, 0, 1000).unwrap(), expected);

        // Columns 2..5 of a 40 × 7 matrix at word 13 to columns 1..4 of a 40 × 4 one at word 5.
        let panel = |at, pitch| Rect { at, pitch };
        rt.copy_rect((&from, panel(13 + 2, 7)), (&to, panel(5 + 1, 4)), 40, 3)
            .unwrap();
        for row in 0..40 {
            for column in 0..3 {
                expected[5 + 1 + row * 4 + column] = data[13 + 2 + row * 7 + column];
            }
        }
        assert_eq!(*rt.map::<u32>(&to, 0, 1000).unwrap(), expected);
        // Within one buffer, ranges apart.
        rt.copy(&to, 0, &to, 900, 100).unwrap();
        expected.copy_within(0..100, 900);
        assert_eq!(*rt.map::<u32>(&to, 0, 1000).unwrap(), expected);
    });
}

#[test]
fn nothing_is_a_number_of_words() {
    on_every_device(|device| {
        let rt = open(device);
        let empty = rt.alloc(0).unwrap();
        assert_eq!(empty.words(), 0);
        rt.fill(&empty, 0, 0, 1).unwrap();
        rt.write::<u32>(&empty, 0, &[]).unwrap();
        rt.copy(&empty, 0, &empty, 0, 0).unwrap();
        assert!(rt.map::<u32>(&empty, 0, 0).unwrap().is_empty());
        assert!(rt.adopt(Vec::<u32>::new()).unwrap().words() == 0);
    });
}

#[test]
fn ranges_outside_a_buffer_are_refused() {
    on_every_device(|device| {
        let rt = open(device);
        let other = open(device);
        let a = rt.alloc(100).unwrap();
        let b = rt.alloc(100).unwrap();
        let refused = |result: Result<(), HalError>| {
            assert!(
                matches!(result, Err(HalError::InvalidArgument { .. })),
                "{result:?}"
            );
        };
        refused(rt.fill(&a, 1, 100, 0));
        refused(rt.fill(&a, usize::MAX, 2, 0));
        refused(rt.write(&a, 99, &[1u32, 2]));
        refused(rt.read(&a, 99, &mut [1u32, 2]));
        refused(rt.map::<u32>(&a, 101, 0).map(drop));
        refused(rt.read_vec::<u32>(&a, 0, usize::MAX).map(drop));
        refused(rt.copy(&a, 0, &b, 1, 100));
        refused(rt.copy(&a, 1, &b, 0, 100));
        refused(rt.copy(&a, 0, &a, 50, 51));
        let (narrow, wide) = (Rect { at: 0, pitch: 4 }, Rect { at: 0, pitch: 10 });
        refused(rt.copy_rect((&a, narrow), (&b, wide), 2, 5));
        refused(rt.copy_rect((&a, wide), (&b, wide), 11, 5));
        refused(rt.copy_rect((&a, wide), (&b, wide), usize::MAX, 5));
        refused(other.fill(&a, 0, 1, 0));
    });
}

#[test]
fn a_mapped_buffer_is_not_written() {
    on_every_device(|device| {
        let rt = open(device);
        let buffer = rt.upload(&words(640)).unwrap();
        let out = rt.alloc(1).unwrap();
        add(&rt, &buffer, 0).unwrap();
        let before = rt.statistics().command("add").unwrap().count;
        let map = rt.map::<u32>(&buffer, 0, 640).unwrap();
        if device.host_unified {
            assert!(matches!(
                add(&rt, &buffer, 0),
                Err(HalError::InvalidArgument { .. })
            ));
            assert!(rt.fill(&buffer, 0, 1, 0).is_err());
            assert!(rt.write(&buffer, 0, &[1u32]).is_err());
            assert!(rt.copy(&out, 0, &buffer, 0, 1).is_err());
            assert_eq!(rt.statistics().command("add").unwrap().count, before);
        }
        // A kernel that only reads may run.
        let args = [
            Arg::Buffer(&buffer),
            Arg::Buffer(&out),
            Arg::Local(64),
            Arg::U32(640),
        ];
        rt.launch(&kernel(&rt, "sum"), [16, 1, 1], Some([16, 1, 1]), &args)
            .unwrap();
        let sum = map.iter().fold(0u32, |sum, w| sum.wrapping_add(*w));
        assert_eq!(rt.read_vec::<u32>(&out, 0, 1).unwrap(), [sum]);
        drop(map);
        add(&rt, &buffer, 0).unwrap();
        rt.finish().unwrap();
    });
}

#[test]
fn matrices_spread_over_buffers() {
    on_every_device(|device| {
        let options = starkwright_kernels::Options {
            max_alloc: Some(1000),
            ..crate::options()
        };
        let rt = starkwright_kernels::Runtime::open(device, options).unwrap();
        // 250 words fit one buffer: 32 rows of 7 words.
        let data = words(7 * 75);
        let matrix = Matrix::adopt(&rt, data.clone(), 7).unwrap();
        assert_eq!(
            (matrix.rows_per_chunk, matrix.chunks.len(), matrix.height),
            (32, 3, 75)
        );
        assert_eq!([0, 1, 2, 3].map(|i| matrix.chunk_rows(i)), [32, 32, 11, 0]);
        assert_eq!(matrix.read_vec::<u32>(&rt).unwrap(), data);
        let (chunk, at) = matrix.locate(70).unwrap();
        assert_eq!(rt.read_vec::<u32>(chunk, at, 7).unwrap(), data[490..497]);
        assert!(matrix.locate(75).is_none());

        let fresh = Matrix::alloc(&rt, 64, 8).unwrap();
        assert_eq!((fresh.rows_per_chunk, fresh.chunks.len()), (16, 4));
        assert!(fresh.chunks.iter().all(|c| c.words() == 128));
        assert!(matches!(
            Matrix::alloc(&rt, 1, 251),
            Err(HalError::OutOfMemory { .. })
        ));
        assert!(matches!(
            Matrix::alloc(&rt, usize::MAX / 2, 4),
            Err(HalError::InvalidArgument { .. })
        ));
        assert!(Matrix::adopt(&rt, words(10), 3).is_err());
        let one = Matrix::alloc(&rt, 5, 50).unwrap();
        assert_eq!(one.single().unwrap().words(), 250);
    });
}

/// The device as one with its own memory.
fn discrete(device: &DeviceInfo) -> Runtime {
    let options = Options {
        assume_discrete: true,
        ..crate::options()
    };
    Runtime::open(device, options).unwrap()
}

/// More than the ring of pinned memory holds, and not a whole number of its slots.
const RINGFUL: usize = (6 << 20) + 12_345;

#[test]
fn large_uploads_go_through_the_ring() {
    on_every_device(|device| {
        let rt = discrete(device);
        let data = words(RINGFUL);
        let buffer = rt.upload(&data).unwrap();
        // Seven slots' worth, at once and from a vector of the caller's, without and with a command between.
        add(&rt, &buffer, 4).unwrap();
        let more = rt.adopt(data.clone()).unwrap();
        rt.finish().unwrap();
        let s = rt.statistics();
        assert_eq!(s.bytes_up, 8 * RINGFUL as u64);
        assert_eq!(s.command("write").unwrap().count, 14);
        let mut wanted = data.clone();
        assert!(rt.read_vec::<u32>(&more, 0, RINGFUL).unwrap() == wanted);
        // A part of it anew, behind commands and before them.
        rt.write(&buffer, 1000, &data[..100_000]).unwrap();
        add(&rt, &buffer, 0).unwrap();
        wanted
            .iter_mut()
            .for_each(|word| *word = word.wrapping_add(5));
        wanted[1000..101_000].copy_from_slice(&data[..100_000]);
        wanted
            .iter_mut()
            .for_each(|word| *word = word.wrapping_add(1));
        assert!(*rt.map::<u32>(&buffer, 0, RINGFUL).unwrap() == wanted);
    });
}

/// Memory that a waiting command still uses is not overwritten by an upload into it, nor by one that nobody waited for.
#[test]
fn uploads_into_reused_memory_wait_for_its_last_use() {
    on_every_device(|device| {
        let rt = discrete(device);
        let n = 1 << 17;
        let spin = kernel(&rt, "spin");
        let sums = rt.alloc(8).unwrap();
        rt.fill(&sums, 0, 8, 0).unwrap();
        let mut wanted = Vec::new();
        for round in 0..8u32 {
            let buffer = rt.upload(&vec![round; n]).unwrap();
            // Long enough that the next upload would come first, if it did not wait.
            rt.launch(
                &spin,
                [1 << 10, 1, 1],
                Some([64, 1, 1]),
                &[Arg::Buffer(&sums)],
            )
            .unwrap();
            rt.copy(&buffer, n - 1, &sums, round as usize, 1).unwrap();
            wanted.push(round);
            drop(buffer);
            // Given back while its upload may be under way.
            drop(rt.upload(&vec![99u32; n]).unwrap());
            let fresh = rt.alloc(n).unwrap();
            rt.fill(&fresh, 0, n, 50).unwrap();
            assert_eq!(rt.read_vec::<u32>(&fresh, n - 1, 1).unwrap(), [50]);
        }
        assert_eq!(rt.read_vec::<u32>(&sums, 0, 8).unwrap(), wanted);
        assert!(rt.statistics().reused > 0);
    });
}

#[test]
fn every_command_waits_for_the_uploads_it_uses() {
    on_every_device(|device| {
        let rt = discrete(device);
        let n = 1 << 20;
        let data = words(n);
        let upload = || rt.upload(&data).unwrap();
        let to = rt.alloc(n).unwrap();
        rt.copy(&upload(), 0, &to, 0, n).unwrap();
        assert!(rt.read_vec::<u32>(&to, 0, n).unwrap() == data);
        let rect = Rect { at: 0, pitch: 64 };
        rt.fill(&to, 0, n, 0).unwrap();
        rt.copy_rect((&upload(), rect), (&to, rect), n / 64, 64)
            .unwrap();
        assert!(rt.read_vec::<u32>(&to, 0, n).unwrap() == data);
        let target = upload();
        rt.fill(&target, n - 2, 2, 7).unwrap();
        rt.write(&target, n - 1, &[8u32]).unwrap();
        let got = rt.read_vec::<u32>(&target, n - 3, 3).unwrap();
        assert_eq!(got, [data[n - 3], 7, 8]);
        let target = upload();
        rt.copy(&to, 0, &target, n - 2, 2).unwrap();
        let got = rt.read_vec::<u32>(&target, n - 3, 3).unwrap();
        assert_eq!(got, [data[n - 3], data[0], data[1]]);
        assert_eq!(
            rt.read_vec::<u32>(&upload(), n - 1, 1).unwrap(),
            data[n - 1..]
        );
    });
}
