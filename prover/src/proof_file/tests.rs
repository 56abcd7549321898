//! Round trips, damage of every kind, interrupted and failing writes.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::write::{Records, Store};
use super::*;

const MACHINE: MachineTag = MachineTag { id: 7, version: 2 };
const HEADER: Header = Header {
    machine: MACHINE,
    profile: Profile::Proven100,
};
const LIMITS: Limits<'static> = Limits::new(&[MachineTag { id: 3, version: 1 }, MACHINE]);

fn segment(n: u8) -> Segment {
    Segment {
        log_height: 10 + n,
        statement: vec![n; 3],
        proof: vec![0x40 + n; 5],
    }
}

/// Writes a whole file and returns its bytes.
fn file(header: Header, segments: &[Segment]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");
    let mut writer = ProofWriter::create(&path, header).unwrap();
    for segment in segments {
        writer.append(segment).unwrap();
    }
    assert_eq!(writer.segments(), segments.len() as u64);
    let bytes = writer.finish().unwrap();
    assert!(!partial_path(&path).exists());
    let file = fs::read(&path).unwrap();
    assert_eq!(file.len() as u64, bytes);
    file
}

/// Resumes, keeping what `keep` says.
fn resume(
    path: &Path,
    mut keep: impl FnMut(&Segment) -> bool,
) -> Result<(ProofWriter, Resumed), ProofFileError> {
    ProofWriter::resume(path, HEADER, LIMITS, |segment| Ok(keep(segment)))
}

/// The layout built by hand from records, as `docs/proof-file.md` says, with valid checksums.
fn by_hand(records: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend_from_slice(record);
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
    }
    bytes
}

const HEADER_RECORD: [u8; 16] = *b"SWPF\x01\x00\x02\x00\x07\0\0\0\x02\0\0\0";
const SEGMENT_RECORD: &[u8] = b"\x01\x0b\x03\0\0\0\x05\0\0\0\x01\x01\x01\x41\x41\x41\x41\x41";
const END_RECORD: &[u8] = b"\x02\x01\0\0\0\0\0\0\0";

fn arbitrary_segment() -> impl Strategy<Value = Segment> {
    (
        any::<u8>(),
        vec(any::<u8>(), 0..80),
        vec(any::<u8>(), 0..300),
    )
        .prop_map(|(log_height, statement, proof)| Segment {
            log_height,
            statement,
            proof,
        })
}

/// Gives one byte per call, as a slow pipe may.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = by_hand(&[&HEADER_RECORD, SEGMENT_RECORD, END_RECORD]);
    assert_eq!(file(HEADER, &[segment(1)]), bytes);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        segments in vec(arbitrary_segment(), 0..5),
        proven in any::<bool>(),
    ) {
        let profile = if proven { Profile::Proven100 } else { Profile::Conjectured100 };
        let header = Header { machine: MACHINE, profile };
        let bytes = file(header, &segments);
        prop_assert_eq!(parse(&bytes, LIMITS).unwrap(), (header, segments.clone()));

        let mut reader = ProofReader::new(Trickle(&bytes), LIMITS).unwrap();
        for segment in segments {
            prop_assert_eq!(reader.next_segment().unwrap(), Some(segment));
        }
        prop_assert_eq!(reader.next_segment().unwrap(), None);
        prop_assert_eq!(reader.next_segment().unwrap(), None);
    }

    /// Anything after a valid header ends in a value or an error, and reading stops there.
    #[test]
    fn parsing_is_total(tail in vec(prop_oneof![Just(0u8), Just(1), Just(2), any::<u8>()], 0..200)) {
        let mut bytes = by_hand(&[&HEADER_RECORD]);
        bytes.extend(tail);
        let mut reader = ProofReader::new(&bytes[..], LIMITS).unwrap();
        while let Ok(Some(_)) = reader.next_segment() {}
        prop_assert!(matches!(reader.next_segment(), Ok(None)));
        prop_assert!(parse(&bytes, LIMITS).is_err());
    }

    #[test]
    fn any_bytes_are_an_error_and_not_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes, LIMITS).is_err());
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = file(HEADER, &[segment(1), segment(2)]);
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(&damaged, LIMITS).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = file(HEADER, &[segment(1), segment(2)]);
    for length in 0..bytes.len() {
        match parse(&bytes[..length], LIMITS) {
            Err(ProofFileError::Truncated { offset, .. }) => assert_eq!(offset, length as u64),
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn segments_cannot_be_lost_repeated_or_swapped() {
    let header = 48;
    let bytes = file(HEADER, &[segment(1), segment(2)]);
    let record = SEGMENT_RECORD.len() + 32;
    let (start, first, second, end) = (
        &bytes[..header],
        &bytes[header..header + record],
        &bytes[header + record..header + 2 * record],
        &bytes[header + 2 * record..],
    );
    for (order, says) in [
        (vec![start, second, end], "lost"),
        (vec![start, first, end], "lost the last"),
        (vec![start, first, first, second, end], "repeated"),
        (vec![start, second, first, end], "swapped"),
    ] {
        let error = parse(&order.concat(), LIMITS).unwrap_err();
        assert!(
            matches!(error, ProofFileError::Checksum { .. }),
            "{says}: {error}"
        );
    }
}

#[test]
fn valid_checksums_do_not_save_a_wrong_structure() {
    let count = by_hand(&[&HEADER_RECORD, SEGMENT_RECORD, b"\x02\x02\0\0\0\0\0\0\0"]);
    assert!(matches!(
        parse(&count, LIMITS),
        Err(ProofFileError::Count { said: 2, found: 1 })
    ));

    let tag = by_hand(&[&HEADER_RECORD, b"\x03"]);
    assert!(matches!(
        parse(&tag, LIMITS),
        Err(ProofFileError::Invalid {
            offset: 48,
            found: 3,
            ..
        })
    ));

    let mut trailing = by_hand(&[&HEADER_RECORD, SEGMENT_RECORD, END_RECORD]);
    let length = trailing.len() as u64;
    trailing.push(0);
    assert!(
        matches!(parse(&trailing, LIMITS), Err(ProofFileError::TrailingBytes { offset, .. }) if offset == length)
    );

    let mut reserved = HEADER_RECORD;
    reserved[7] = 1;
    assert!(matches!(
        parse(&by_hand(&[&reserved]), LIMITS),
        Err(ProofFileError::Invalid { offset: 7, .. })
    ));
}

#[test]
fn unknown_names_are_distinct_errors() {
    let changed = |at: usize, value: u8| {
        let mut record = HEADER_RECORD;
        record[at] = value;
        parse(&by_hand(&[&record, END_RECORD]), LIMITS).unwrap_err()
    };
    assert!(matches!(
        changed(0, b'X'),
        ProofFileError::NotAProofFile { .. }
    ));
    assert!(matches!(
        changed(4, 2),
        ProofFileError::UnknownFormat {
            found: 2,
            known: FORMAT
        }
    ));
    assert!(matches!(
        changed(6, 0),
        ProofFileError::UnknownProfile { found: 0 }
    ));
    assert!(matches!(
        changed(6, 3),
        ProofFileError::UnknownProfile { found: 3 }
    ));
    assert!(matches!(
        changed(8, 9),
        ProofFileError::UnknownMachine { found: 9, .. }
    ));
    match changed(12, 1) {
        ProofFileError::UnknownMachineVersion { found, known } => {
            assert_eq!((found, known), (MachineTag { id: 7, version: 1 }, vec![2]));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn lengths_are_checked_before_memory_is_taken() {
    let claims = |statement: u32, proof: u32| {
        let mut bytes = by_hand(&[&HEADER_RECORD]);
        bytes.extend([TAG_SEGMENT, 11]);
        bytes.extend(statement.to_le_bytes());
        bytes.extend(proof.to_le_bytes());
        bytes
    };
    let error = parse(&claims(u32::MAX, 0), LIMITS).unwrap_err();
    assert!(
        matches!(
            error,
            ProofFileError::TooLong {
                offset: 50,
                what: "statement",
                ..
            }
        ),
        "{error}"
    );
    let error = parse(&claims(0, u32::MAX), LIMITS).unwrap_err();
    assert!(
        matches!(
            error,
            ProofFileError::TooLong {
                offset: 54,
                what: "proof",
                ..
            }
        ),
        "{error}"
    );

    // Even where the limit allows 4 GiB, memory follows the bytes that are there, not the claim.
    let generous = Limits {
        max_proof_bytes: u32::MAX,
        ..LIMITS
    };
    let error = parse(&claims(0, u32::MAX), generous).unwrap_err();
    assert!(
        matches!(
            error,
            ProofFileError::Truncated {
                offset: 58,
                what: "a proof"
            }
        ),
        "{error}"
    );
}

#[test]
fn a_torn_partial_file_resumes_at_every_length() {
    let segments = [segment(1), segment(2), segment(3)];
    let whole = file(HEADER, &segments);
    let header = 48;
    let record = SEGMENT_RECORD.len() + 32;
    for length in 0..=whole.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proof");
        fs::write(partial_path(&path), &whole[..length]).unwrap();

        let mut seen = Vec::new();
        let (mut writer, resumed) = resume(&path, |segment| {
            seen.push(segment.clone());
            true
        })
        .unwrap();
        let kept = (length.saturating_sub(header) / record).min(segments.len());
        assert_eq!(resumed.segments, kept as u64, "{length}");
        assert_eq!(seen, segments[..kept]);
        let kept_bytes = if length < header {
            0
        } else {
            header + kept * record
        };
        assert_eq!(resumed.dropped_bytes, (length - kept_bytes) as u64);

        for segment in &segments[kept..] {
            writer.append(segment).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "{length}");
    }
}

#[test]
fn resume_drops_from_the_first_segment_that_is_refused_or_damaged() {
    let whole = file(HEADER, &[segment(1), segment(2), segment(3)]);
    let record = SEGMENT_RECORD.len() + 32;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");

    fs::write(partial_path(&path), &whole).unwrap();
    let (writer, resumed) = resume(&path, |segment| segment.log_height != 12).unwrap();
    assert_eq!(
        resumed,
        Resumed {
            segments: 1,
            dropped_bytes: (whole.len() - 48 - record) as u64
        }
    );
    drop(writer);

    let mut damaged = whole.clone();
    damaged[48 + record + 12] ^= 1;
    fs::write(partial_path(&path), &damaged).unwrap();
    let (writer, resumed) = resume(&path, |_| true).unwrap();
    assert_eq!(
        (resumed.segments, writer.bytes()),
        (1, (48 + record) as u64)
    );
}

#[test]
fn a_resume_that_fails_or_keeps_nothing_changes_nothing() {
    let whole = file(HEADER, &[segment(1), segment(2), segment(3)]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");
    let unchanged = || assert_eq!(fs::read(partial_path(&path)).unwrap(), whole);
    fs::write(partial_path(&path), &whole).unwrap();

    // The input cannot be read on: at any segment.
    for failing in 11..=13 {
        let result = ProofWriter::resume(&path, HEADER, LIMITS, |segment| {
            if segment.log_height == failing {
                return Err(ProofFileError::Unencodable {
                    why: "the input is gone".to_owned(),
                });
            }
            Ok(true)
        });
        assert!(matches!(result, Err(ProofFileError::Unencodable { .. })));
        unchanged();
    }
    // Another input: not one segment is wanted.
    match resume(&path, |_| false) {
        Err(error @ ProofFileError::OtherInput { .. }) => {
            assert!(error.to_string().contains("another output"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    unchanged();
}

#[test]
fn only_the_beginning_of_a_header_is_reused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");
    let partial = partial_path(&path);
    let header = by_hand(&[&HEADER_RECORD]);
    for length in 0..=header.len() {
        fs::write(&partial, &header[..length]).unwrap();
        drop(ProofWriter::create(&path, HEADER).unwrap());
        assert_eq!(fs::read(&partial).unwrap(), header);
    }
    // A run of the other profile was stopped as early.
    let mut other = HEADER_RECORD;
    other[6] = 1;
    fs::write(&partial, by_hand(&[&other])).unwrap();
    drop(ProofWriter::create(&path, HEADER).unwrap());

    // Short files that are something else.
    for bytes in [
        &b"a shopping list"[..],
        b"SWPF and more",
        &header[1..],
        &[&header[..], b"\x01"].concat(),
    ] {
        fs::write(&partial, bytes).unwrap();
        assert!(matches!(
            ProofWriter::create(&path, HEADER),
            Err(ProofFileError::PartialExists { .. })
        ));
        if bytes.len() < header.len() {
            assert!(resume(&path, |_| true).is_err());
        }
        assert_eq!(fs::read(&partial).unwrap(), bytes);
    }
}

#[cfg(unix)]
#[test]
fn links_and_special_files_are_not_written_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");
    let victim = directory.path().join("victim");
    std::os::unix::fs::symlink(&victim, partial_path(&path)).unwrap();
    let refused = |victim: Option<&[u8]>| {
        assert!(matches!(
            ProofWriter::create(&path, HEADER),
            Err(ProofFileError::Io { .. })
        ));
        assert!(matches!(
            resume(&path, |_| true),
            Err(ProofFileError::Io { .. })
        ));
        assert_eq!(
            fs::read(directory.path().join("victim")).ok().as_deref(),
            victim
        );
    };
    refused(None);
    fs::write(&victim, b"").unwrap();
    refused(Some(b""));

    assert!(matches!(
        ProofWriter::create(Path::new("/dev/null"), HEADER),
        Err(ProofFileError::Io { .. })
    ));
}

/// Writers of one output in a row, each begun while the one before finishes: no finished file is written into.
#[test]
fn a_finished_file_is_never_taken_for_the_partial_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");
    let whole = file(HEADER, &[segment(1)]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..300 {
                    if let Ok(mut writer) = ProofWriter::create(&path, HEADER) {
                        writer.append(&segment(1)).unwrap();
                        writer.finish().unwrap();
                    }
                    if let Ok(found) = fs::read(&path) {
                        assert_eq!(found, whole);
                    }
                }
            });
        }
    });
}

#[test]
fn interrupted_work_is_neither_overwritten_nor_mixed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof");
    let mut writer = ProofWriter::create(&path, HEADER).unwrap();
    writer.append(&segment(1)).unwrap();
    assert!(matches!(
        resume(&path, |_| true),
        Err(ProofFileError::InUse { .. })
    ));
    drop(writer);
    assert!(!path.exists());

    assert!(matches!(
        ProofWriter::create(&path, HEADER),
        Err(ProofFileError::PartialExists { .. })
    ));
    let weaker = Header {
        profile: Profile::Conjectured100,
        ..HEADER
    };
    assert!(matches!(
        ProofWriter::resume(&path, weaker, LIMITS, |_| Ok::<_, ProofFileError>(true)),
        Err(ProofFileError::OtherJob { .. })
    ));
    let (writer, resumed) = resume(&path, |_| true).unwrap();
    assert_eq!(
        resumed,
        Resumed {
            segments: 1,
            dropped_bytes: 0
        }
    );
    writer.finish().unwrap();
    assert_eq!(
        parse(&fs::read(&path).unwrap(), LIMITS).unwrap().1,
        [segment(1)]
    );
}

#[test]
fn an_output_that_cannot_be_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        ProofWriter::create(directory.path(), HEADER),
        Err(ProofFileError::Io { .. })
    ));
    let nowhere = directory.path().join("missing").join("proof");
    assert!(matches!(
        ProofWriter::create(&nowhere, HEADER),
        Err(ProofFileError::Io { .. })
    ));
    assert!(matches!(
        ProofReader::open(Path::new("/no/such/proof"), LIMITS),
        Err(ProofFileError::Io { .. })
    ));
}

/// A disk with room for `room` bytes, which may also refuse to be truncated.
struct Disk {
    bytes: Vec<u8>,
    room: usize,
    truncates: bool,
}

impl Store for Disk {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if !self.truncates {
            return Err(io::ErrorKind::Other.into());
        }
        self.bytes.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_whole_records_and_the_append_can_be_repeated() {
    let records: [&[u8]; 3] = [&HEADER_RECORD, SEGMENT_RECORD, END_RECORD];
    let whole = by_hand(&records);
    for room in 0..whole.len() {
        for truncates in [true, false] {
            let disk = Disk {
                bytes: Vec::new(),
                room,
                truncates,
            };
            let mut writer = Records {
                store: disk,
                hasher: Sha256::new(),
                length: 0,
                segments: 0,
                torn: false,
            };
            for record in records {
                // Split, as the real records are.
                let (head, tail) = record.split_at(record.len() / 2);
                if writer.append(&[head, tail]).is_err() {
                    let length = writer.length as usize;
                    assert_eq!(writer.store.bytes[..length], whole[..length]);
                    assert!(!truncates || writer.store.bytes.len() == length);
                    writer.store.room = whole.len();
                    writer.store.truncates = true;
                    writer.append(&[head, tail]).unwrap();
                }
            }
            assert_eq!(writer.store.bytes, whole, "room for {room}");
        }
    }
}

#[test]
fn only_the_canonical_encoding_decodes() {
    let proof: (Vec<KoalaBear>, Option<u32>, Vec<Vec<u8>>) = (
        vec![KoalaBear::ONE, -KoalaBear::ONE],
        Some(5),
        vec![vec![], vec![1]],
    );
    let bytes = encode(&proof).unwrap();
    assert_eq!(
        decode::<(Vec<KoalaBear>, Option<u32>, Vec<Vec<u8>>)>(&bytes).unwrap(),
        proof
    );

    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        decode::<(Vec<KoalaBear>, Option<u32>, Vec<Vec<u8>>)>(&longer),
        Err(ProofFileError::TrailingBytes { .. })
    ));
    // The leading 2 (a length) written in two bytes: postcard accepts it, we do not.
    let padded = [&[0x82, 0x00], &bytes[1..]].concat();
    assert!(postcard::from_bytes::<(Vec<KoalaBear>, Option<u32>, Vec<Vec<u8>>)>(&padded).is_ok());
    assert!(matches!(
        decode::<(Vec<KoalaBear>, Option<u32>, Vec<Vec<u8>>)>(&padded),
        Err(ProofFileError::NotCanonical { offset: 0 })
    ));
    // A field element at the modulus.
    let mut modulus = bytes.clone();
    modulus[1..5].copy_from_slice(&0x7f00_0001u32.to_le_bytes());
    assert!(matches!(
        decode::<(Vec<KoalaBear>, Option<u32>, Vec<Vec<u8>>)>(&modulus),
        Err(ProofFileError::Undecodable { .. })
    ));
}

#[test]
fn a_claimed_length_is_no_allocation() {
    // 2^60 elements, then nothing.
    let claim = encode(&(1u64 << 60)).unwrap();
    assert!(matches!(
        decode::<Vec<[u32; 8]>>(&claim),
        Err(ProofFileError::Undecodable { .. })
    ));
    assert!(matches!(
        decode::<Vec<Vec<Vec<u64>>>>(&claim),
        Err(ProofFileError::Undecodable { .. })
    ));
    let nested = [[1].as_slice(), &claim, &[0; 64]].concat();
    assert!(matches!(
        decode::<Vec<Vec<Vec<u64>>>>(&nested),
        Err(ProofFileError::Undecodable { .. })
    ));
}
