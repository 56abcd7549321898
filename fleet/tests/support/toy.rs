//! A machine for tests: its proofs are hashes. It knows nothing of `starkwright-fleet`'s insides, and the fleet nothing of it.

use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use sha2::{Digest, Sha256};
use starkwright_fleet::machine::{Inputs, Machine, MachineError, Planned, TaskProver};
use starkwright_fleet::task::{Blob, BlobRange, MachineId, Place, TaskSpec};

/// `statement` of leaves: SHA-256 of their bytes; of joins: of the children's statements.
type Statement = [u8; 32];

pub fn id(version: &str) -> MachineId {
    MachineId {
        name: "toy".to_owned(),
        version: version.to_owned(),
    }
}

/// A proof that something is a true statement: its kind and the statement, and nothing to believe it by.
fn proof(kind: &str, statement: &Statement) -> Vec<u8> {
    let mut proof = format!("toy proof of a {kind}: ").into_bytes();
    proof.extend(statement);
    proof
}

fn hash(parts: &[&[u8]]) -> Statement {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The aggregator's half. A job's payload: bytes of a leaf, as text.
pub struct Toy {
    pub version: String,
}

impl Machine for Toy {
    fn id(&self) -> MachineId {
        id(&self.version)
    }

    fn plan(
        &self,
        payload: &[u8],
        blobs: &[Blob],
        inputs: &dyn Inputs,
    ) -> Result<Planned, MachineError> {
        let wrong = |why: &str| MachineError::Input(why.to_owned());
        let chunk = std::str::from_utf8(payload).ok();
        let chunk = chunk.and_then(|text| text.parse::<u64>().ok());
        let chunk = chunk.filter(|&chunk| chunk > 0);
        let chunk = chunk.ok_or_else(|| wrong("the payload is no number of bytes"))?;
        let [blob] = blobs else {
            return Err(wrong("a toy takes one input"));
        };
        let mut bytes = Vec::new();
        let mut reader = inputs
            .open(blob)
            .map_err(|error| wrong(&error.to_string()))?;
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| wrong(&error.to_string()))?;
        let mut tasks: Vec<TaskSpec> = Vec::new();
        let task =
            |kind: &str, level, index, count, children, input, statement: &Statement| TaskSpec {
                kind: kind.to_owned(),
                place: Place {
                    owner: 0,
                    level,
                    index,
                    count,
                },
                circuit: format!("toy-{kind}"),
                urgency: level as u8,
                children,
                input,
                payload: statement.to_vec(),
                memory: 1 << 20,
                work: 1,
            };
        let mut row: Vec<(u32, u64, u64, Statement)> = Vec::new();
        let leaves = (blob.bytes.div_ceil(chunk)).max(1);
        for index in 0..leaves {
            let offset = index * chunk;
            let length = chunk.min(blob.bytes - offset);
            let part = &bytes[offset as usize..(offset + length) as usize];
            let range = BlobRange {
                blob: *blob,
                offset,
                bytes: length,
            };
            let statement = hash(&[part]);
            row.push((tasks.len() as u32, index, 1, statement));
            tasks.push(task(
                "leaf",
                0,
                index,
                1,
                Vec::new(),
                Some(range),
                &statement,
            ));
        }
        let mut level = 0;
        while row.len() > 1 {
            level += 1;
            let mut above = Vec::new();
            for pair in row.chunks(2) {
                let [left, right] = pair else {
                    above.push(pair[0]);
                    continue;
                };
                let statement = hash(&[&left.3, &right.3]);
                let (index, count) = (left.1, left.2 + right.2);
                above.push((tasks.len() as u32, index, count, statement));
                let children = vec![left.0, right.0];
                tasks.push(task(
                    "join", level, index, count, children, None, &statement,
                ));
            }
            row = above;
        }
        let (root, _, count, statement) = row[0];
        tasks.push(task(
            "wrap",
            level + 1,
            0,
            count,
            vec![root],
            None,
            &statement,
        ));
        Ok(Planned {
            first: 0,
            count: leaves,
            tasks,
        })
    }

    fn verify(&self, task: &TaskSpec, found: &[u8]) -> Result<(), MachineError> {
        let statement: Result<Statement, _> = task.payload.as_slice().try_into();
        let expected = proof(&task.kind, &statement.unwrap());
        if found == expected {
            return Ok(());
        }
        let same_kind = found.starts_with(format!("toy proof of a {}", task.kind).as_bytes());
        Err(MachineError::Rejected(
            if same_kind {
                "another statement"
            } else {
                "no such proof"
            }
            .to_owned(),
        ))
    }

    fn max_proof_bytes(&self) -> u64 {
        1 << 16
    }
}

/// What a toy prover does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vice {
    #[default]
    None,
    /// Sends proofs of something else.
    Lies,
    /// Fails.
    Fails,
    /// Fails once, saying its device is gone.
    LosesDevice,
    /// Panics.
    Panics,
    /// Sends the proof of the task before.
    RepeatsItself,
}

/// The prover's half.
pub struct ToyProver {
    pub version: String,
    pub device: String,
    pub memory: u64,
    pub pause: Duration,
    pub vice: Vice,
    pub last: Mutex<Vec<u8>>,
}

impl ToyProver {
    pub fn new(pause: Duration, vice: Vice) -> Self {
        Self {
            version: "1".to_owned(),
            device: "toy device".to_owned(),
            memory: 1 << 30,
            pause,
            vice,
            last: Mutex::default(),
        }
    }
}

impl TaskProver for ToyProver {
    fn id(&self) -> MachineId {
        id(&self.version)
    }

    fn device(&self) -> String {
        self.device.clone()
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn prove(
        &self,
        task: &TaskSpec,
        input: Option<&[u8]>,
        children: &[Vec<u8>],
    ) -> Result<Vec<u8>, MachineError> {
        std::thread::sleep(self.pause);
        let statements = children.iter().map(|child| &child[child.len() - 32..]);
        let statements: Vec<&[u8]> = statements.collect();
        let statement = match (task.kind.as_str(), input) {
            ("leaf", Some(input)) => hash(&[input]),
            ("wrap", None) => statements[0].try_into().unwrap(),
            _ => hash(&statements),
        };
        let made = proof(&task.kind, &statement);
        match self.vice {
            Vice::None => Ok(made),
            Vice::Lies => Ok(proof(&task.kind, &hash(&[b"a lie"]))),
            Vice::Fails => Err(MachineError::Device("out of memory".to_owned())),
            Vice::LosesDevice => Err(MachineError::DeviceLost("it fell off the bus".to_owned())),
            Vice::Panics => panic!("a toy prover panics, as it should"),
            Vice::RepeatsItself => {
                let mut last = self.last.lock().unwrap();
                let before = std::mem::replace(&mut *last, made.clone());
                Ok(if before.is_empty() { made } else { before })
            }
        }
    }
}
