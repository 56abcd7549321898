#!/usr/bin/env python3
"""An independent verifier of Starkwright's wraps, in pure Python.

    python3 wrap_verifier.py FILE --keys KEYFILE.json [--flip N [--seed S]]

It reads a node file that holds a wrap, and verifies its proof for the statement in the file, under the verifying key and the
root of allowed keys of the key file. It prints `valid …` and exits with 0, or `INVALID: …` and exits with 1. With `--flip N`
it also flips N single bits of the proof, one at a time, and requires that each is found.

The proof is p3-batch-stark 0.8's over KoalaBear, of one table with preprocessed columns and LogUp lookups, opened by FRI over
Keccak-256 trees. Nothing of the Rust code is called or generated from: the transcript, the table's constraints and the
openings are written down again from the protocol's sources, which the sections name. What a file says of itself only selects
the profile; shapes and parameters stand below.
"""

import argparse
import hashlib
import json
import random
import struct
import sys
from dataclasses import dataclass
from functools import cache


class Invalid(Exception):
    """The file is no valid wrap."""


def require(holds, why):
    if not holds:
        raise Invalid(why)


# --- The base field: KoalaBear, as canonical integers ------------------------------------------------------------------------

P = 2**31 - 2**24 + 1
GENERATOR = 3
TWO_ADICITY = 24
ROOT_OF_UNITY = 0x6AC49F88  # of order 2^24 (p3-koala-bear, koala_bear.rs)
TO_MONTGOMERY = 2**32 % P
FROM_MONTGOMERY = pow(TO_MONTGOMERY, -1, P)


def root_of_unity(log_order):
    return pow(ROOT_OF_UNITY, 1 << (TWO_ADICITY - log_order), P)


def reverse_bits(number, bits):
    return int(format(number, f"0{bits}b")[::-1], 2)


def montgomery_bytes(words):
    """Words as they are hashed: in Montgomery form, four bytes each, little-endian (p3-field, `to_unique_u32`)."""
    return struct.pack(f"<{len(words)}I", *(word * TO_MONTGOMERY % P for word in words))


# --- The challenge fields ----------------------------------------------------------------------------------------------------


def polynomial_product(a, b):
    """Coefficients of a product; they may be numbers or elements."""
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


class Element:
    """An element of an extension of the base field, in the power basis. Integers stand for elements of the base field."""

    __slots__ = ("words",)

    def __init__(self, words):
        self.words = tuple(words)

    @classmethod
    def embed(cls, word):
        return cls([word] + [0] * (cls.DEGREE - 1))

    @classmethod
    def compose(cls, values):
        """`Σ X^i v_i`: an element from the openings of its words, which are elements themselves."""
        x = cls([0, 1] + [0] * (cls.DEGREE - 2))
        total = cls.embed(0)
        for value in reversed(values):
            total = total * x + value
        return total

    @classmethod
    def words_of_product(cls, a, b):
        return cls.reduce(polynomial_product(a, b))[: cls.DEGREE]

    def __add__(self, other):
        if isinstance(other, int):
            return type(self)(((self.words[0] + other) % P, *self.words[1:]))
        return type(self)((x + y) % P for x, y in zip(self.words, other.words))

    def __mul__(self, other):
        if isinstance(other, int):
            return type(self)(x * other % P for x in self.words)
        return type(self)(word % P for word in self.words_of_product(self.words, other.words))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __pow__(self, exponent):
        power, base = self.embed(1), self
        while exponent:
            if exponent & 1:
                power *= base
            base *= base
            exponent >>= 1
        return power

    def __eq__(self, other):
        return self.words == other.words

    def is_zero(self):
        return not any(self.words)

    def inverse(self):
        return self ** (P**self.DEGREE - 2)


class Quartic(Element):
    """X^4 = 3."""

    __slots__ = ()
    DEGREE = 4
    IDENTITY = b"p3-power-basis-v1:X^4-3"

    @staticmethod
    def reduce(words):
        for i in range(len(words) - 1, 3, -1):
            words[i - 4] += 3 * words[i]
        return words


class Quintic(Element):
    """X^5 = 1 − X^2."""

    __slots__ = ()
    DEGREE = 5
    IDENTITY = b"p3-power-basis-v1:X^5+X^2-1"

    @staticmethod
    def reduce(words):
        # From the top: what is put above the degree is reduced in turn.
        for i in range(len(words) - 1, 4, -1):
            words[i - 5] += words[i]
            words[i - 3] -= words[i]
        return words


# --- Keccak-256, many messages at once ---------------------------------------------------------------------------------------

RATE = 136


def _keccak_tables():
    """Round constants from the LFSR, and for every lane of the output of ρ and π its source and rotation."""
    constants, lfsr = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            if lfsr & 1:
                constant |= 1 << ((1 << j) - 1)
            lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
        constants.append(constant)
    moves, (x, y) = {0: (0, 0)}, (1, 0)
    for t in range(24):
        moves[y + 5 * ((2 * x + 3 * y) % 5)] = (x + 5 * y, (t + 1) * (t + 2) // 2 % 64)
        x, y = y, (2 * x + 3 * y) % 5
    return constants, [moves[lane] for lane in range(25)]


ROUND_CONSTANTS, MOVES = _keccak_tables()


@cache
def _lane_masks(count):
    """For `count` states side by side in one integer: a 1 in each, all bits of each, and the low `r` bits of each."""
    ones = sum(1 << (64 * i) for i in range(count))
    return ones, ones * (2**64 - 1), [ones * ((1 << r) - 1) for r in range(64)]


def _keccak_f(lanes, count):
    ones, full, low = _lane_masks(count)

    def rotate(lane, r):
        return ((lane << r) & (full ^ low[r])) | ((lane >> (64 - r)) & low[r]) if r else lane

    for constant in ROUND_CONSTANTS:
        column = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        theta = [column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1) for x in range(5)]
        moved = [rotate(lanes[source] ^ theta[source % 5], r) for source, r in MOVES]
        lanes = [
            moved[y + x] ^ ((full ^ moved[y + (x + 1) % 5]) & moved[y + (x + 2) % 5])
            for y in range(0, 25, 5)
            for x in range(5)
        ]
        lanes[0] ^= constant * ones
    return lanes


def keccak_many(messages):
    """Keccak-256 (padding 0x01, not SHA-3's) of messages of one length: a lane of all states is one integer."""
    count, length = len(messages), len(messages[0])
    padding = bytearray(RATE - length % RATE)
    padding[0] |= 0x01
    padding[-1] |= 0x80
    padded = [message + padding for message in messages]
    lanes = [0] * 25
    for block in range(0, length + len(padding), RATE):
        for lane in range(RATE // 8):
            at = block + 8 * lane
            lanes[lane] ^= int.from_bytes(b"".join(message[at : at + 8] for message in padded), "little")
        lanes = _keccak_f(lanes, count)
    columns = [lanes[lane].to_bytes(8 * count, "little") for lane in range(4)]
    return [b"".join(column[8 * i : 8 * i + 8] for column in columns) for i in range(count)]


def keccak(message):
    return keccak_many([message])[0]


# --- Poseidon2 of width 16 (p3-koala-bear, poseidon2.rs) ---------------------------------------------------------------------


def _constants(digits):
    return [int(word, 16) for word in digits.split()]


def _rounds(digits):
    words = _constants(digits)
    return [words[i : i + 16] for i in range(0, len(words), 16)]


EXTERNAL_INITIAL = _rounds("""
    7ee56a48 11367045 12e41941 7ebbc12b 1970b7d5 662b60e8 3e4990c6 679f91f5
    350813bb 00874ad4 28a0081a 18fa5872 5f25b071 5e5d5998 5e6fd3e7 5b2e2660
    6f1837bf 3fe6182b 1edd7ac5 57470d00 43d486d5 1982c70f 0ea53af9 61d6165b
    51639c00 2dec352c 2950e531 2d2cb947 08256cef 1a0109f6 1f51faf3 5cef1c62
    3d65e50e 33d91626 133d5a1e 0ff49b0d 38900cd1 2c22cc3f 28852bb2 06c65a02
    7b2cf7bc 68016e1a 15e16bc0 5248149a 6dd212a0 18d6830a 5001be82 64dac34e
    5902b287 426583a0 0c921632 3fe028a5 245f8e49 43bb297e 7873dbd9 3cc987df
    286bb4ce 640a8dcd 512a8e36 03a4cf55 481837a2 03d6da84 73726ac7 760e7fdf""")
INTERNAL = _constants("""
    54dfeb5d 7d40afd6 722cb316 106a4573 45a7ccdb 44061375 154077a5 45744faa 4eb5e5ee 3794e83f
    47c7093c 5694903c 69cb6299 373df84c 46a0df58 46b8758a 3241ebcb 0b09d233 1af42357 1e66cec2""")
EXTERNAL_FINAL = _rounds("""
    43e7dc24 259a5d61 27e85a3b 1b9133fa 343e5628 485cd4c2 16e269f5 165b60c6
    25f683d9 124f81f9 174331f9 77344dc5 5a821dba 5fc4177f 54153bf5 5e3f1194
    3bdbf191 088c84a3 68256c9b 3c90bbc6 6846166a 03f4238d 463335fb 5e3d3551
    6e59ae6f 32d06cc0 596293f3 6c87edb2 08fc60b5 34bcca80 24f007f3 62731c6f
    1e1db6c6 0ca409bb 585c1e78 56e94edc 16d22734 18e11467 7b2c3730 770075e4
    35d1b18c 22be3db5 4fb1fbb7 477cb3ed 7d5311c6 5b62ae7d 559c5fa8 77f15048
    3211570b 490fef6a 77ec311f 2247171b 4e0ac711 2edf69c9 3b5a8850 65809421
    5619b4aa 362019a7 6bf9d4ed 5b413dff 617e181e 5e7ab57b 33ad7833 3466c7ca""")


def _over(power_of_two, sign=1):
    return sign * pow(1 << power_of_two, -1, P)


INTERNAL_DIAGONAL = [
    *(-2, 1, 2, _over(1), 3, 4, _over(1, -1), -3, -4, _over(8), _over(3), _over(24)),
    *(_over(8, -1), _over(3, -1), _over(4, -1), _over(24, -1)),
]


def external_layer(state):
    """The circulant of (2 3 1 1) on every four words, then every word plus the sum of those four apart."""
    mixed = []
    for i in range(0, 16, 4):
        x = state[i : i + 4]
        mixed += [2 * x[j] + 3 * x[(j + 1) % 4] + x[(j + 2) % 4] + x[(j + 3) % 4] for j in range(4)]
    sums = [mixed[k] + mixed[k + 4] + mixed[k + 8] + mixed[k + 12] for k in range(4)]
    return [word + sums[i % 4] for i, word in enumerate(mixed)]


def internal_layer(state):
    total = sum(state[1:], state[0])
    return [total + word * factor for word, factor in zip(state, INTERNAL_DIAGONAL)]


def poseidon2(state):
    def full(state, constants):
        return [word % P for word in external_layer([pow(x + c, 3, P) for x, c in zip(state, constants)])]

    state = external_layer(state)
    for constants in EXTERNAL_INITIAL:
        state = full(state, constants)
    for constant in INTERNAL:
        state = [word % P for word in internal_layer([pow(state[0] + constant, 3, P), *state[1:]])]
    for constants in EXTERNAL_FINAL:
        state = full(state, constants)
    return state


def poseidon2_hash(words):
    """p3-symmetric's `PaddingFreeSponge` of rate 8, for whole blocks: each overwrites the rate."""
    state = [0] * 16
    for at in range(0, len(words), 8):
        state = poseidon2(words[at : at + 8] + state[8:])
    return state[:8]


# --- Shapes and parameters ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """What a profile fixes: the verifier takes it from here, never from a file."""

    name: str
    field: type
    tails: tuple  # lengths of short last blocks in the wrapped proof's rows: one flag column each
    log_blowup: int
    queries: int
    lookup_pow: int
    batch_pow: int
    commit_pow: int
    query_pow: int
    max_items: int

    @property
    def degree(self):
        return self.field.DEGREE

    @property
    def main(self):
        return operands_at(self.degree) + 4 * self.degree + 4 + 1 + 5

    @property
    def preprocessed(self):
        return TAILS + len(self.tails)

    @property
    def lookups(self):
        """The running sum and the fractions: two exclusive ones, the other ports by twos."""
        ports = 9 + (self.degree == 5)
        return self.degree * (1 + 2 + (ports + 1) // 2)

    @property
    def log_max_height(self):
        return LOG_HEIGHT + self.log_blowup

    @property
    def log_arities(self):
        """FRI folds by the largest arity until the final polynomial's codeword is reached (p3-fri, `fold_schedule`)."""
        left, arities = LOG_HEIGHT - LOG_FINAL_POLY, []
        while left:
            arities.append(min(left, MAX_LOG_ARITY))
            left -= arities[-1]
        return arities

    @property
    def opened(self):
        """Words that a query opens: trace, quotient chunks, preprocessed columns, lookups. All have one height."""
        return [self.main, CHUNKS * self.degree, self.preprocessed, self.lookups]

    @property
    def public_values(self):
        return 8 + 2 * 8 * self.degree


LOG_HEIGHT = 13
CHUNKS = 2  # constraints have degree 3
CAP_HEIGHT = 3
CAP = 1 << CAP_HEIGHT
LOG_FINAL_POLY = 6
MAX_LOG_ARITY = 4
OOD_POW = 0

PROFILES = {
    1: Profile("conjectured100", Quartic, (0, 3, 4), 6, 14, 8, 12, 4, 20, 2**64 - 1),
    2: Profile("proven100", Quintic, (0, 1, 2, 4), 8, 24, 0, 16, 8, 22, 2**16),
}


# --- The file ----------------------------------------------------------------------------------------------------------------

HEADER = struct.Struct("<4sHBBB3sI")
STATEMENT = 56
MAX_PROOF_BYTES = 2 << 20


def read_file(data):
    """The profile, the statement's elements and the proof's bytes of a node file that holds a wrap."""
    body = len(data) - 32
    require(body >= HEADER.size + 4 * STATEMENT, "the file is cut off")
    magic, version, profile, kind, log_leaf, reserved, length = HEADER.unpack_from(data)
    require(magic == b"SWNF", "no file of a node")
    require(hashlib.sha256(data[:body]).digest() == data[body:], "the file is damaged: its checksum is another")
    require(version == 1, "an unknown format")
    require(profile in PROFILES, "an unknown profile")
    require((kind, log_leaf) == (6, 0), "it holds no wrap")
    require(reserved == bytes(3), "reserved bytes that are not 0")
    statement = list(struct.unpack_from(f"<{STATEMENT}I", data, HEADER.size))
    require(all(word < P for word in statement), "an element of the statement out of the field")
    proof = data[HEADER.size + 4 * STATEMENT : body]
    require(len(proof) == length <= MAX_PROOF_BYTES, "the proof has another length than the file says")
    return PROFILES[profile], statement, proof


def digest_digits(words):
    return "".join(f"{word:08x}" for word in words)


def check_statement(statement, profile, allowed_root):
    """What holds of every statement about items; returns the first item and the count."""

    def number(at):
        limbs = statement[at : at + 4]
        require(all(limb < 1 << 16 for limb in limbs), "a limb of a number out of range")
        return sum(limb << (16 * i) for i, limb in enumerate(limbs))

    require(statement[0] == int.from_bytes(b"TREE", "big"), "no statement about a tree")
    require(statement[1] == 1, "the statement is not about items")
    require(statement[2:4] == [0, 0], "a flag of a segment in a statement about items")
    require(not any(statement[52:]), "padding that is not 0")
    first, count = number(4), number(48)
    require(count > 0 and first + count - 1 < 1 << 64, "no range of items")
    require(count <= profile.max_items, "more items than the profile's bits hold for")
    require(digest_digits(statement[40:48]) == allowed_root, "the tree allows other keys than the key file's")
    return first, count


def read_keys(path, profile):
    """The root of allowed keys in digits, and the commitment to the wrap's preprocessed columns."""
    try:
        with open(path, encoding="utf-8") as file:
            keys = json.load(file)
        cap = [bytes.fromhex(digest) for digest in keys["wrap"]]
        root, name = keys["allowed_root"], keys["profile"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid(f"the key file cannot be read: {error}") from None
    require(name == profile.name, f"the file is of {profile.name}, the keys are not")
    require([len(digest) for digest in cap] == [32] * CAP, "the key file's wrap key has another size")
    return root, cap


# --- The encoding of the proof -----------------------------------------------------------------------------------------------


class Reader:
    """Reads the encoding from front to back; every word must be below the prime, so a proof has one encoding."""

    def __init__(self, data, field):
        self.data, self.at, self.field = data, 0, field

    def bytes(self, count):
        self.at += count
        require(self.at <= len(self.data), "the proof is cut off")
        return self.data[self.at - count : self.at]

    def number(self):
        return int.from_bytes(self.bytes(4), "little")

    def words(self, count):
        words = struct.unpack(f"<{count}I", self.bytes(4 * count))
        require(all(word < P for word in words), "a word of the proof out of the field")
        return [word * FROM_MONTGOMERY % P for word in words]

    def elements(self, count):
        degree = self.field.DEGREE
        words = self.words(count * degree)
        return [self.field(words[i : i + degree]) for i in range(0, len(words), degree)]

    def digests(self, count):
        return [self.bytes(32) for _ in range(count)]

    def siblings(self):
        count = self.number()
        require(count <= len(self.data) // 32, "more siblings than bytes")
        return self.digests(count)


class Proof:
    """A proof's parts, in the order of the encoding."""

    def __init__(self, data, profile):
        reader = Reader(data, profile.field)
        require(reader.number() == 0, "an unknown version of the encoding")
        (self.challenge,) = reader.elements(1)
        self.main_cap = reader.digests(CAP)
        self.lookup_cap = reader.digests(CAP)
        (self.terminal,) = reader.elements(1)
        self.quotient_cap = reader.digests(CAP)
        self.lookup_witness, self.ood_witness, self.batch_witness, self.query_witness = reader.words(4)

        self.main, self.main_next = reader.elements(profile.main), reader.elements(profile.main)
        self.chunks = [reader.elements(profile.degree) for _ in range(CHUNKS)]
        self.preprocessed = reader.elements(profile.preprocessed)
        self.lookups, self.lookups_next = reader.elements(profile.lookups), reader.elements(profile.lookups)

        self.round_caps, self.round_witnesses = [], []
        for _ in profile.log_arities:
            self.round_caps.append(reader.digests(CAP))
            self.round_witnesses += reader.words(1)
        self.final_poly = reader.elements(1 << LOG_FINAL_POLY)

        self.rows, self.row_siblings = [], []
        for width in profile.opened:
            self.rows.append([reader.words(width) for _ in range(profile.queries)])
            self.row_siblings.append(reader.siblings())
        self.fold_rows, self.fold_siblings = [], []
        for log_arity in profile.log_arities:
            others = (1 << log_arity) - 1
            self.fold_rows.append([reader.elements(others) for _ in range(profile.queries)])
            self.fold_siblings.append(reader.siblings())
        require(reader.at == len(data), "bytes behind the proof's end")

    def claims(self):
        """The opened values in the order of the opening argument, each list at one point (p3-batch-stark,
        `commitments_with_opening_points`)."""
        return [self.main, self.main_next, *self.chunks, self.preprocessed, self.lookups, self.lookups_next]


# --- The transcript ----------------------------------------------------------------------------------------------------------


class Transcript:
    """p3-challenger's `SerializingChallenger32` over `HashChallenger` with Keccak-256.

    What is absorbed is gathered behind the last digest; a sample hashes it, and takes the new digest's bytes from its end.
    """

    def __init__(self):
        self.input, self.output = b"", b""

    def observe_bytes(self, data):
        self.output = b""
        self.input += data

    def observe(self, words):
        self.observe_bytes(montgomery_bytes(words))

    def observe_elements(self, elements):
        self.observe([word for element in elements for word in element.words])

    def observe_cap(self, digests):
        self.observe_bytes(b"".join(digests))

    def sample_byte(self):
        if not self.output:
            self.input = self.output = keccak(self.input)
        byte = self.output[-1]
        self.output = self.output[:-1]
        return byte

    def sample_number(self):
        return sum(self.sample_byte() << (8 * i) for i in range(4))

    def sample_bits(self, bits):
        return self.sample_number() & ((1 << bits) - 1)

    def sample_word(self):
        while (word := self.sample_bits(31)) >= P:
            pass
        return word

    def sample(self, field):
        return field([self.sample_word() for _ in range(field.DEGREE)])

    def check_witness(self, bits, witness, what):
        """Without bits the witness is not absorbed, and zero is its one value. A grind starts by one byte that nobody reads,
        so that what is pending is hashed before."""
        if bits == 0:
            require(witness == 0, f"a grinding witness of the {what} that is not 0, where nothing is ground")
            return
        self.sample_byte()
        self.observe([witness])
        require(self.sample_bits(bits) == 0, f"the grinding witness of the {what} does not pass")


def algebra(degree, identity):
    return f"Algebra({P}^{degree};{keccak(identity).hex()})"


BASE = algebra(1, b"p3-scalar-basis-v1")


def seed(name, steps, label):
    """The elements with which a typed transcript begins (p3-challenger, `fs`): a protocol's name, the digest of its steps
    written out, and numbers that the steps do not show."""
    lines = [f"Plonky3 Fiat-Shamir Transcript ({len(steps)} interactions)"]
    digits = len(str(len(steps) - 1))
    for position, (kind, step, length, values) in enumerate(steps):
        # The only brackets are empty ones, so nothing is ever indented.
        lines.append(f"{position:0{digits}} {kind} {len(step)} {step} {length} {values}")
    pattern = keccak("".join(line + "\n" for line in lines).encode())
    labels = b"".join(struct.pack(">IQ", 8, number) for number in label)
    protocol = (b"\x01" + name).ljust(63, b"\0") + bytes([len(name)])
    stream = protocol + pattern + struct.pack(">I", len(labels)) + labels + b"\x80"
    # Three bytes an element, behind the length (`transcript_field.rs`).
    packed = [stream[i : i + 3] for i in range(0, len(stream), 3)]
    return [len(stream)] + [int.from_bytes(chunk, "little") for chunk in packed]


def bracket(step):
    return [(f"{edge} Protocol", step, "None", "Marker") for edge in ("Begin", "End")]


@cache
def seeds(profile):
    """Seeds of the three nested transcripts: p3-batch-stark `transcript.rs`, p3-fri `pcs_transcript.rs`, `transcript.rs`."""
    extension = algebra(profile.degree, profile.field.IDENTITY)

    def message(step, length="Scalar", values=extension):
        return ("Atomic Message", step, length, values)

    def challenge(step):
        return ("Atomic Challenge", step, "Scalar", extension)

    def pow_(step, bits):
        return ("Atomic Pow", step, f"Fixed({bits})", BASE)

    def commitment(step):
        return message(step, values="Opaque")

    batch = [
        message("degree_bits"),
        commitment("main_commitment"),
        ("Atomic Public", "public_values", f"Fixed({profile.public_values})", BASE),
        commitment("preprocessed_commitment"),
        pow_("lookup_pow", profile.lookup_pow),
        challenge("lookup_alpha"),
        challenge("lookup_beta"),
        commitment("permutation_commitment"),
        message("lookup_terminal"),
        challenge("constraint_challenge"),
        commitment("quotient_commitment"),
        pow_("ood_pow", OOD_POW),
        challenge("zeta"),
        *bracket("opening_argument"),
    ]
    main, lookups = [profile.main] * 2, [profile.lookups] * 2
    claims = [[main], [[profile.degree]] * CHUNKS, [[profile.preprocessed]], [lookups]]
    widths = [width for matrices in claims for points in matrices for width in points]
    pcs = [
        *(message("claimed_evaluations", f"Fixed({width})") for width in widths),
        pow_("batch_pow", profile.batch_pow),
        challenge("alpha"),
        *bracket("low_degree_test"),
    ]
    counts = [len(claims)]
    for matrices in claims:
        counts += [len(matrices), *(len(points) for points in matrices)]
    fri = []
    for _ in profile.log_arities:
        fri.append(commitment("commit_phase_commitment"))
        fri.append(pow_("commit_pow", profile.commit_pow))
        fri.append(challenge("fold_challenge"))
    fri += [
        message("final_poly", f"Fixed({1 << LOG_FINAL_POLY})"),
        pow_("query_pow", profile.query_pow),
        ("Atomic Challenge", "query_indices", f"Fixed({profile.queries})", f"Bits({profile.log_max_height})"),
    ]
    return (
        seed(b"p3-batch-stark", batch, [1, profile.main, profile.preprocessed]),
        seed(b"p3-fri-pcs", pcs, counts),
        seed(b"p3-fri", fri, [profile.log_blowup, MAX_LOG_ARITY, *profile.log_arities]),
    )


# --- The table: its columns --------------------------------------------------------------------------------------------------

# Main columns: a permutation's input, the states after full rounds, the first words after partial ones; then the running sum.
OUTPUT = 16 + 8 * 16 + 20 - 16
SUM = OUTPUT + 16


def operands_at(degree):
    """Behind the sum stand the direction bit and the cap's digest, then the gate's operands."""
    return SUM + degree + 2


# Preprocessed columns.
START, CONTINUE, ADD, MERKLE, MERKLE_ON, WEIGHT, ROLL_IN = range(7)
HORNER, HORNER_ON = (7, 9), (8, 10)
INPUT_PORT, OUTPUT_PORT, SUM_PORT = (11, 12), (13, 14, 15), (16, 17)
OPERAND, OPERAND_COUNT = range(18, 22), range(22, 26)
GATE = range(26, 34)  # qa, qb, la, lb, ld, lo, k, k1
PACK_FIRST, PACK_SECOND, SPELL, WORDS, PACKED = range(34, 39)
PACKED_COUNT = range(39, 42)
PICK, READS, RESET, STEP, FACTOR, NOTE, KEEP, ONES_START, ONES_STEP, CANONICAL = range(42, 52)
NUMBER_PORT, PRODUCT_PORT, SPELL_READS, TAILS = (52, 53), (54, 55), 56, 57


class Table:
    """The table's constraints at one point: a list of values that vanish on a true trace, in the order of assertion, and the
    tuples that a row sends on the one bus, each with its count."""

    def __init__(self, profile, main, following, fixed, public, first_row):
        self.profile, self.field, self.degree = profile, profile.field, profile.degree
        self.main, self.next, self.fixed, self.public = main, following, fixed, public
        self.first_row = first_row
        self.constraints = []
        self.ports = []  # (count, tuple)
        self.exclusive = []  # lists of (flag, count, tuple)
        degree = self.degree
        self.bit, self.high = SUM + degree, SUM + degree + 1
        self.operands = operands_at(degree)
        self.reads = self.operands + 4 * degree
        self.offset = self.reads + 4
        self.bits = self.offset + 1
        self.rounds()
        self.links()
        self.sums()
        self.permutation_ports()
        self.gate()
        self.packing()
        self.bit_machine()

    def zero(self, value):
        self.constraints.append(value)

    def port(self, number, count, words):
        self.ports.append((count, self.cell(number, words)))

    def cell(self, number, words):
        """A tuple of the memory: a cell's number and its eight words."""
        return [number, *words, *[self.field.embed(0)] * (8 - len(words))]

    # The permutation machine.

    def rounds(self):
        """Each row is one permutation: every full round's state, and every partial round's S-box, is a column."""
        column = iter(self.main[16 : SUM])
        state = external_layer(self.main[:16])

        def full(state, constants):
            after = external_layer([cube(word + constant) for word, constant in zip(state, constants)])
            columns = [next(column) for _ in range(16)]
            for word, committed in zip(after, columns):
                self.zero(word - committed)
            return columns

        def cube(x):
            return x * x * x

        for constants in EXTERNAL_INITIAL:
            state = full(state, constants)
        for constant in INTERNAL:
            committed = next(column)
            self.zero(cube(state[0] + constant) - committed)
            state = internal_layer([committed, *state[1:]])
        for constants in EXTERNAL_FINAL:
            state = full(state, constants)

    def links(self):
        """How the next row's input follows from this row's output: a sponge, a Merkle step, or a roll-in."""
        fixed, output, following = self.fixed, self.main[OUTPUT:SUM], self.next
        sponge = fixed[START] + fixed[CONTINUE]
        for i in range(8, 16):
            capacity = sponge * following[i] - fixed[CONTINUE] * output[i]
            self.zero(capacity - fixed[ADD] if i == 8 else capacity)
        for flag, tail in enumerate(self.profile.tails):
            for i in range(tail, 8):
                self.zero(fixed[TAILS + flag] * (sponge * following[i] - fixed[CONTINUE] * output[i]))
        bit = following[self.bit]
        for i in range(8):
            left, right = following[i] - output[i], following[8 + i] - output[i]
            self.zero(fixed[MERKLE] * (left + bit * (right - left)))
        here = self.main[self.bit]
        self.zero(here * (here - 1))
        index = fixed[MERKLE] * following[SUM] - fixed[MERKLE_ON] * self.main[SUM]
        self.zero(index - fixed[WEIGHT] * bit)
        for i in range(8):
            self.zero(fixed[ROLL_IN] * (following[8 + i] - output[i]))

    def sums(self):
        """Horner sums over absorbed words with either child's powers: words that a short block keeps do not count."""
        words = []
        for i in range(8):
            kept = [self.fixed[TAILS + flag] for flag, tail in enumerate(self.profile.tails) if tail <= i]
            absorbed = self.next[i]
            words.append(absorbed * (1 - sum(kept)) if kept else absorbed)
        so_far, degree = self.main[SUM : SUM + self.degree], self.degree
        for child in range(2):
            at = 8 + 8 * child * degree
            powers = [self.public[at + i * degree : at + (i + 1) * degree] for i in range(8)]  # 1 to 8
            shifted = self.field.words_of_product(so_far, powers[7])
            for word in range(degree):
                block = words[7] if word == 0 else self.field.embed(0)
                for i in range(7):
                    block += words[i] * powers[6 - i][word]
                turned = self.next[SUM + word] - block
                self.zero(self.fixed[HORNER[child]] * turned - self.fixed[HORNER_ON[child]] * shifted[word])

    def permutation_ports(self):
        fixed, main = self.fixed, self.main
        number, count, shifted = (fixed[column] for column in OUTPUT_PORT)
        self.zero(main[self.high] - shifted * main[SUM + 1])
        self.port(number + main[self.high], count, main[OUTPUT : OUTPUT + 8])
        self.port(fixed[INPUT_PORT[0]], fixed[INPUT_PORT[1]], main[:8])
        self.port(fixed[SUM_PORT[0]], fixed[SUM_PORT[1]], main[SUM : SUM + self.degree])

    # The gate machine.

    def operand(self, row, operand):
        at = self.operands + operand * self.degree
        return row[at : at + self.degree]

    def gate(self):
        """`(QA a + QB b) d + LA a + LB b + LD d + K + K1 X = LO o`."""
        fixed, main = self.fixed, self.main
        qa, qb, la, lb, ld, lo, k, k1 = (fixed[column] for column in GATE)
        a, b, d, o = (self.operand(main, operand) for operand in range(4))
        product = self.field.words_of_product([qa * x + qb * y for x, y in zip(a, b)], d)
        constant = [k, k1] + [0] * (self.degree - 2)
        for i in range(self.degree):
            self.zero(product[i] + la * a[i] + lb * b[i] + ld * d[i] + constant[i] - lo * o[i])
        for operand in (a, b, d, o):
            for word in operand[1:]:
                self.zero(fixed[WORDS] * word)
        offset = main[self.offset]
        self.zero(offset - fixed[PICK] * d[0])
        # Public values: the first row has the challenges, the second the statement's digest.
        for child, operand in enumerate((a, b)):
            at = 8 + 8 * child * self.degree
            for word, value in zip(operand, self.public[at:]):
                self.zero(self.first_row * (word - value))
        for word, value in zip(self.next[self.operands :], self.public[:8]):
            self.zero(self.first_row * (word - value))
        for i, words in enumerate((a, b, d, o)):
            number = fixed[OPERAND[i]] + offset if i == 0 else fixed[OPERAND[i]]
            self.port(number, fixed[OPERAND_COUNT[i]] + fixed[READS] * main[self.reads + i], words)

    def packing(self):
        """Cells made of the words of this row's and the next one's operands; which, preprocessed flags say."""
        fixed, in_row = self.fixed, 4 * self.degree
        words = self.main[self.operands :][:in_row] + self.next[self.operands :][:in_row]
        firsts = words[:: self.degree]
        starting = -(-in_row // 8)  # cells that start in a first row
        for place in range(2):
            number, count = fixed[PACKED] + place, fixed[PACKED_COUNT[place]]
            branches = [(fixed[PACK_FIRST], count, self.cell(number, words[8 * place :][:8]))]
            if in_row % 8:
                at = 8 * (starting + place) - in_row
                branches.append((fixed[PACK_SECOND], count, self.cell(number, words[at : at + 8])))
            if place == 0:
                spelled = count + fixed[SPELL_READS] * self.main[self.reads]
                branches.append((fixed[SPELL], spelled, self.cell(number, firsts)))
            self.exclusive.append(branches)
        if starting > 2:
            self.port(fixed[PACKED] + 2, fixed[PACKED_COUNT[2]], words[16:24])

    # The bit machine.

    def bit_machine(self):
        fixed = self.fixed
        bit, number, top, all_ones, product = self.main[self.bits :]
        next_bit, next_number, next_top, next_all_ones, next_product = self.next[self.bits :]
        self.zero(bit * (bit - 1))
        self.zero(fixed[RESET] * number)
        self.zero(fixed[STEP] * (next_number - 2 * number - next_bit))
        self.zero(fixed[RESET] * (product - 1))
        self.zero(fixed[STEP] * (next_product - product) - fixed[FACTOR] * next_bit * product)
        self.zero(fixed[NOTE] * (top - number))
        self.zero(fixed[KEEP] * (next_top - top))
        self.zero(fixed[ONES_START] * (all_ones - bit))
        self.zero(fixed[ONES_STEP] * (next_all_ones - all_ones * next_bit))
        self.zero(fixed[KEEP] * (next_all_ones - all_ones))
        self.zero(fixed[CANONICAL] * all_ones * (number - top * (1 << 24)))
        self.port(fixed[NUMBER_PORT[0]], fixed[NUMBER_PORT[1]], [number])
        self.port(fixed[PRODUCT_PORT[0]], fixed[PRODUCT_PORT[1]], [product])


def lookup_constraints(table, columns, next_columns, terminal, alpha, beta, selectors):
    """LogUp (p3-lookup, `logup.rs`): a column for each fraction `V/U`, and their running sum.

    Exclusive interactions stand first, a column each; the others share columns by twos, as many as degree 3 allows
    (`types.rs`, `pack_same_bus`). There is one bus, so its prefix is `α + β^W` with messages of `W` words (`challenges.rs`).
    """
    first_row, last_row, transition = selectors
    prefix = alpha + beta**9
    total, *fractions = columns

    def denominator(words):
        combined = words[0]
        for word in words[1:]:
            combined = combined * beta + word
        return prefix - combined

    pinned = []
    for branches in table.exclusive:
        flags = sum(flag for flag, _, _ in branches)
        u = sum((flag * denominator(words) for flag, _, words in branches), 1 - flags)
        pinned.append((sum(flag * count for flag, count, _ in branches), u))
    for at in range(0, len(table.ports), 2):
        (count, words), *second = table.ports[at : at + 2]
        v, u = count, denominator(words)
        for other_count, other_words in second:
            other = denominator(other_words)
            v, u = v * other + other_count * u, u * other
        pinned.append((v, u))
    assert len(pinned) == len(fractions)
    row_sum = sum(fractions)
    return [
        *(u * fraction - v for (v, u), fraction in zip(pinned, fractions)),
        first_row * total,
        transition * (next_columns[0] - total - row_sum),
        last_row * (terminal - total - row_sum),
    ]


def check_constraints(profile, proof, public, lookup_challenges, alpha, zeta):
    """The folded constraints at zeta are the quotient times the vanishing polynomial (p3-batch-stark, `verifier`)."""
    field, degree = profile.field, profile.degree
    power = zeta ** (1 << LOG_HEIGHT)
    vanishing = power - 1
    require(not vanishing.is_zero(), "the out-of-domain point is in the domain")
    from_last = zeta - pow(root_of_unity(LOG_HEIGHT), -1, P)
    first_row, last_row = vanishing * (zeta - 1).inverse(), vanishing * from_last.inverse()
    table = Table(profile, proof.main, proof.main_next, proof.preprocessed, public, first_row)

    def columns(values):
        return [field.compose(values[i : i + degree]) for i in range(0, len(values), degree)]

    selectors = (first_row, last_row, from_last)
    columns_here, columns_next = columns(proof.lookups), columns(proof.lookups_next)
    constraints = table.constraints + lookup_constraints(
        table, columns_here, columns_next, proof.terminal, *lookup_challenges, selectors
    )
    folded = field.embed(0)
    for constraint in constraints:
        folded = folded * alpha + constraint

    # Chunk i belongs to the coset g h^i H: it is weighted by the other cosets' vanishing polynomials (p3-uni-stark,
    # `recompose_quotient_from_chunks`).
    step = root_of_unity(LOG_HEIGHT + 1)
    coset_powers = [pow(GENERATOR * pow(step, i, P), 1 << LOG_HEIGHT, P) for i in range(CHUNKS)]
    quotient = field.embed(0)
    for i, chunk in enumerate(proof.chunks):
        weight = field.embed(1)
        for j in range(CHUNKS):
            if j != i:
                scale = pow(coset_powers[j], -1, P)
                weight *= (power * scale - 1) * pow(coset_powers[i] * scale - 1, -1, P)
        quotient += weight * field.compose(chunk)
    require(folded == quotient * vanishing, "the constraints at the out-of-domain point are not the quotient")


# --- Openings ----------------------------------------------------------------------------------------------------------------


def check_openings(cap, log_height, indices, leaves, siblings, what):
    """Rows against a commitment, all queries together (p3-merkle-tree, `pruning.rs`): a sibling is sent only where no query
    lies under it, level by level, from left to right; no more may be there."""
    rows = {}
    for index, leaf in zip(indices, leaves):
        require(rows.setdefault(index, leaf) == leaf, f"two rows of {what} for one index")
    nodes = sorted(rows)
    digests = dict(zip(nodes, keccak_many([rows[node] for node in nodes])))
    left = iter(siblings)
    for _ in range(log_height - CAP_HEIGHT):
        parents = sorted({node >> 1 for node in digests})
        pairs = []
        for parent in parents:
            children = [digests.get(child) or next(left, None) for child in (2 * parent, 2 * parent + 1)]
            require(None not in children, f"too few siblings for {what}")
            pairs.append(children[0] + children[1])
        digests = dict(zip(parents, keccak_many(pairs)))
    require(next(left, None) is None, f"too many siblings for {what}")
    require(all(cap[node] == digest for node, digest in digests.items()), f"an opening of {what} is not committed to")


def reduced_openings(profile, proof, alpha, zeta, indices):
    """For every query `Σ α^i (y_i − f_i(x)) / (z − x)` over all columns and points (p3-fri, `open_inputs`).

    All matrices have one height, so there is one ladder of powers. Sums over rows are taken word by word of the powers.
    """
    field = profile.field
    claims = proof.claims()
    power, ladder = field.embed(1), []
    for _ in range(sum(map(len, claims))):
        ladder.append(power)
        power *= alpha
    following = zeta * root_of_unity(LOG_HEIGHT)
    # For each list of claims: where its words stand in a query's rows, and its point.
    main, quotient, fixed, lookups = profile.opened
    starts = [0, 0, main, main + quotient // 2, main + quotient, main + quotient + fixed, main + quotient + fixed]
    points = [zeta, following, zeta, zeta, zeta, zeta, following]

    at, terms = 0, []
    for values, start, point in zip(claims, starts, points):
        powers = ladder[at : at + len(values)]
        at += len(values)
        claimed = sum(power * value for power, value in zip(powers, values))
        by_word = list(zip(*(power.words for power in powers)))
        terms.append((claimed, by_word, start, start + len(values), point))

    root, log_height = root_of_unity(profile.log_max_height), profile.log_max_height
    reduced = []
    for query, index in enumerate(indices):
        row = [word for rows in proof.rows for word in rows[query]]
        x = GENERATOR * pow(root, reverse_bits(index, log_height), P) % P
        inverses = []
        for point in (zeta, following):
            require(not (point - x).is_zero(), "a query at the out-of-domain point")
            inverses.append((point - x).inverse())
        value = field.embed(0)
        for claimed, by_word, start, end, point in terms:
            words = row[start:end]
            opened = field(sum(map(int.__mul__, powers, words)) % P for powers in by_word)
            value += (claimed - opened) * inverses[0 if point is zeta else 1]
        reduced.append(value)
    return reduced


def fold_row(values, point, beta):
    """The polynomial with these values over `s ω^i`, in bit-reversed order, at beta: level by level, since with neighbours at
    `x` and `−x` the even part is `(f(x) + f(−x)) / 2` and the odd one `(f(x) − f(−x)) / 2x` (p3-fri, `fold_row`)."""
    half = pow(2, -1, P)
    log_arity = len(values).bit_length() - 1
    while log_arity:
        root, folded = root_of_unity(log_arity), []
        for pair in range(len(values) // 2):
            low, high = values[2 * pair], values[2 * pair + 1]
            x = point * pow(root, reverse_bits(pair, log_arity - 1) if log_arity > 1 else 0, P)
            folded.append((low + high) * half + (low - high) * beta * (half * pow(x, -1, P) % P))
        values, point, beta, log_arity = folded, point * point % P, beta * beta, log_arity - 1
    return values[0]


def check_folding(profile, proof, indices, values, betas):
    """Every query's value through all rounds, to the final polynomial (p3-fri, `fold_query`)."""
    height, shift = profile.log_max_height, 0
    for number, (log_arity, beta) in enumerate(zip(profile.log_arities, betas)):
        height, shift = height - log_arity, shift + log_arity
        root, rows, folded = root_of_unity(height + log_arity), [], []
        for query, (index, value) in enumerate(zip(indices, values)):
            row = list(proof.fold_rows[number][query])
            row.insert((index >> (shift - log_arity)) % (1 << log_arity), value)
            rows.append(montgomery_bytes([word for element in row for word in element.words]))
            point = pow(root, reverse_bits(index >> shift, height), P)
            folded.append(fold_row(row, point, beta))
        places = [index >> shift for index in indices]
        what = f"round {number} of FRI"
        check_openings(proof.round_caps[number], height, places, rows, proof.fold_siblings[number], what)
        values = folded
    root = root_of_unity(height)
    for index, value in zip(indices, values):
        x = pow(root, reverse_bits(index >> shift, height), P)
        at_x = profile.field.embed(0)
        for coefficient in reversed(proof.final_poly):
            at_x = at_x * x + coefficient
        require(at_x == value, "a query does not end on the final polynomial")


# --- The verifier ------------------------------------------------------------------------------------------------------------


def verify(profile, statement, proof_bytes, key):
    """Verifies a proof's bytes for a statement, under the commitment to the preprocessed columns."""
    proof, field = Proof(proof_bytes, profile), profile.field
    batch_seed, pcs_seed, fri_seed = seeds(profile)

    # The statement's digest, then for each of two children the powers 1 to 8 of its challenge: a wrap has one child.
    powers, power = [], field.embed(1)
    for _ in range(8):
        power *= proof.challenge
        powers += power.words
    public = poseidon2_hash(statement) + powers + powers

    transcript = Transcript()
    transcript.observe(batch_seed)
    transcript.observe_elements([field.embed(LOG_HEIGHT)])
    transcript.observe_cap(proof.main_cap)
    transcript.observe(public)
    transcript.observe_cap(key)
    transcript.check_witness(profile.lookup_pow, proof.lookup_witness, "lookups")
    lookup_challenges = transcript.sample(field), transcript.sample(field)
    transcript.observe_cap(proof.lookup_cap)
    transcript.observe_elements([proof.terminal])
    alpha = transcript.sample(field)
    transcript.observe_cap(proof.quotient_cap)
    transcript.check_witness(OOD_POW, proof.ood_witness, "out-of-domain point")
    zeta = transcript.sample(field)

    transcript.observe(pcs_seed)
    for values in proof.claims():
        transcript.observe_elements(values)
    transcript.check_witness(profile.batch_pow, proof.batch_witness, "batching")
    batch_alpha = transcript.sample(field)

    transcript.observe(fri_seed)
    betas = []
    for cap, witness in zip(proof.round_caps, proof.round_witnesses):
        transcript.observe_cap(cap)
        transcript.check_witness(profile.commit_pow, witness, "folding")
        betas.append(transcript.sample(field))
    transcript.observe_elements(proof.final_poly)
    transcript.check_witness(profile.query_pow, proof.query_witness, "queries")
    indices = [transcript.sample_bits(profile.log_max_height) for _ in range(profile.queries)]

    # One table: its terminal is the whole sum.
    require(proof.terminal.is_zero(), "the lookups do not balance")
    check_constraints(profile, proof, public, lookup_challenges, alpha, zeta)
    caps = {"the trace": proof.main_cap, "the quotient": proof.quotient_cap, "the key": key, "the lookups": proof.lookup_cap}
    for (what, cap), rows, siblings in zip(caps.items(), proof.rows, proof.row_siblings):
        leaves = [montgomery_bytes(row) for row in rows]
        check_openings(cap, profile.log_max_height, indices, leaves, siblings, what)
    values = reduced_openings(profile, proof, batch_alpha, zeta, indices)
    check_folding(profile, proof, indices, values, betas)


def verify_file(data, keys_path):
    profile, statement, proof = read_file(data)
    allowed_root, key = read_keys(keys_path, profile)
    first, count = check_statement(statement, profile, allowed_root)
    verify(profile, statement, proof, key)
    return profile, statement, first, count


def with_checksum(body):
    return body + hashlib.sha256(body).digest()


def count_rejected(data, keys_path, flips, seed_of_flips):
    """Flips single bits of the proof, under a checksum that fits; all must be rejected."""
    choice = random.Random(seed_of_flips)
    start, end = HEADER.size + 4 * STATEMENT, len(data) - 32
    for _ in range(flips):
        position = choice.randrange(8 * start, 8 * end)
        body = bytearray(data[:end])
        body[position // 8] ^= 1 << (position % 8)
        try:
            verify_file(with_checksum(bytes(body)), keys_path)
        except Invalid:
            continue
        raise Invalid(f"the proof with bit {position % 8} of byte {position // 8 - start} flipped is accepted")
    return flips


def main():
    parser = argparse.ArgumentParser(description="Verifies a wrap.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--keys", metavar="KEYFILE.json", required=True)
    parser.add_argument("--flip", metavar="N", type=int, default=0, help="also flip N single bits of the proof")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="chooses the bits")
    options = parser.parse_args()
    try:
        try:
            with open(options.file, "rb") as file:
                data = file.read(MAX_PROOF_BYTES + 4096)
        except OSError as error:
            raise Invalid(f"the file cannot be read: {error}") from None
        profile, statement, first, count = verify_file(data, options.keys)
        line = f"valid {profile.name} items {first} to {first + count - 1}"
        line += f" old {digest_digits(statement[16:24])} new {digest_digits(statement[24:32])}"
        if any(statement[8:16]):
            line += f" context {digest_digits(statement[8:16])}"
        print(line)
        if options.flip > 0:
            rejected = count_rejected(data, options.keys, options.flip, options.seed)
            print(f"rejected {rejected} of {rejected} proofs with one bit flipped")
    except Invalid as why:
        print(f"INVALID: {why}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
