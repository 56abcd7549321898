//! Packing: elements and words as cells of eight words, and back; inputs, which come as cells.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::Builder;
use crate::circuit::layout::{CELL_WORDS, OPERANDS, Pack};
use crate::circuit::program::{Base, Cell, Ext, Line, Octet, PackFrom, Port, Role, Step};

impl Builder {
    /// New elements from the proof, and the cells of their words, one element after the other, zeros behind the last.
    pub fn input_elements(&mut self, count: usize) -> (Vec<Ext>, Vec<Octet>) {
        let words = count * self.layout.degree;
        let at = self.input(words);
        let elements: Vec<Ext> = (0..count).map(|_| Ext(self.cell())).collect();
        let cells = self.pack(&elements, PackFrom::Input(at), words.div_ceil(CELL_WORDS));
        (elements, cells)
    }

    /// The cells of known elements' words, zeros behind the last.
    pub fn pack_elements(&mut self, elements: &[Ext]) -> Vec<Octet> {
        let words = elements.len() * self.layout.degree;
        self.pack(elements, PackFrom::Elements, words.div_ceil(CELL_WORDS))
    }

    fn pack(&mut self, elements: &[Ext], from: PackFrom, cells: usize) -> Vec<Octet> {
        let zero = self.constant(KoalaBear::ZERO);
        let Pack { cells: most, .. } = self.layout.pack();
        let mut octets = Vec::new();
        let mut from = from;
        for chunk in elements.chunks(self.layout.pack().elements()) {
            let needed = (chunk.len() * self.layout.degree).div_ceil(CELL_WORDS);
            let needed = needed.min(cells - octets.len());
            let made: Vec<Cell> = (0..needed).map(|_| self.cell()).collect();
            let ports: Vec<Port> = (0..self.layout.pack().elements())
                .map(|i| match (chunk.get(i), from) {
                    (Some(element), PackFrom::Input(_)) => Port::Create(element.0),
                    (Some(element), _) => self.read(element.0),
                    // Words behind the last element are zero by what is read there.
                    (None, _) => self.read(zero.0),
                })
                .collect();
            let mut packed: Vec<Port> = made.iter().map(|&cell| Port::Create(cell)).collect();
            packed.resize(most, Port::Closed);
            self.pack_lines(&ports, &packed, made.first().copied(), from, false);
            octets.extend(made.into_iter().map(Octet));
            if let PackFrom::Input(at) = &mut from {
                *at += chunk.len() * self.layout.degree;
            }
        }
        octets
    }

    /// So many elements, whose words are these cells', which must be neighbours: made one after the other. Words behind the
    /// last whole element are ignored. How often each is read is counted as the proof has it: for the dynamic reads of
    /// [`Self::pick_is`].
    pub fn unpack_counted(&mut self, octets: &[Octet], count: usize) -> Vec<Ext> {
        let pack = self.layout.pack();
        let padded = octets.len().div_ceil(pack.cells) * pack.elements();
        let elements: Vec<Ext> = (0..padded).map(|_| Ext(self.cell())).collect();
        for (chunk, elements) in octets
            .chunks(pack.cells)
            .zip(elements.chunks(pack.elements()))
        {
            let ports: Vec<Port> = elements.iter().map(|e| Port::Create(e.0)).collect();
            let mut packed: Vec<Port> = chunk.iter().map(|octet| self.read(octet.0)).collect();
            packed.resize(pack.cells, Port::Closed);
            let first = chunk.first().map(|octet| octet.0);
            self.pack_lines(&ports, &packed, first, PackFrom::Cells, true);
        }
        if count > padded {
            self.refuse("more elements are unpacked than there are words for");
        }
        let elements = elements[..count.min(padded)].to_vec();
        if let Some(first) = elements.first() {
            self.offer(first.0, elements.len());
        }
        elements
    }

    fn pack_lines(
        &mut self,
        elements: &[Port],
        packed: &[Port],
        first: Option<Cell>,
        from: PackFrom,
        counted: bool,
    ) {
        if !neighbours(packed) {
            self.unbound = Some("cells that are unpacked together are no neighbours");
        }
        let in_first = (OPERANDS * self.layout.degree).div_ceil(CELL_WORDS);
        let mut at = None;
        for (row, ports) in elements.chunks(OPERANDS).enumerate() {
            let mut line = Line {
                role: if row == 0 {
                    Role::PackFirst
                } else {
                    Role::PackSecond
                },
                counted,
                ..Line::default()
            };
            line.ports.copy_from_slice(ports);
            let (skip, take) = if row == 0 {
                (0, in_first)
            } else {
                (in_first, packed.len())
            };
            let cells = packed.iter().skip(skip).take(take);
            for (slot, &port) in line.packed.iter_mut().zip(cells) {
                *slot = port;
            }
            line.first_packed = first.map(|cell| Cell(cell.0 + skip as u32));
            let index = self.line(line);
            at.get_or_insert(index);
        }
        if let Some(at) = at {
            self.program.steps.push(Step::Pack(at, from));
        }
    }

    /// The eight words of a cell.
    pub fn spell(&mut self, octet: Octet) -> [Base; CELL_WORDS] {
        let words: [Base; CELL_WORDS] = core::array::from_fn(|_| Base(self.cell()));
        let ports = words.map(|word| Port::Create(word.0));
        let packed = self.read(octet.0);
        self.spell_lines(&ports, packed, PackFrom::Cells, false);
        words
    }

    /// The cell of eight words.
    pub fn unspell(&mut self, words: [Base; CELL_WORDS]) -> Octet {
        let octet = self.cell();
        let ports = words.map(|word| self.read(word.0));
        self.spell_lines(&ports, Port::Create(octet), PackFrom::Elements, false);
        Octet(octet)
    }

    /// A new cell from the proof, with its words.
    pub fn input_words(&mut self) -> ([Base; CELL_WORDS], Octet) {
        let octet = self.cell();
        (self.input_words_as(octet, false), Octet(octet))
    }

    /// Digests from the proof, with their words: neighbouring cells, which [`Self::assert_in_cap`] may read.
    pub fn input_cap(&mut self, digests: usize) -> Vec<([Base; CELL_WORDS], Octet)> {
        let octets: Vec<Cell> = (0..digests).map(|_| self.cell()).collect();
        if let Some(&first) = octets.first() {
            self.offer(first, digests);
        }
        octets
            .into_iter()
            .map(|octet| (self.input_words_as(octet, true), Octet(octet)))
            .collect()
    }

    fn input_words_as(&mut self, octet: Cell, counted: bool) -> [Base; CELL_WORDS] {
        let at = self.input(CELL_WORDS);
        let words: [Base; CELL_WORDS] = core::array::from_fn(|_| Base(self.cell()));
        let ports = words.map(|word| Port::Create(word.0));
        self.spell_lines(&ports, Port::Create(octet), PackFrom::Input(at), counted);
        words
    }

    fn spell_lines(
        &mut self,
        words: &[Port; CELL_WORDS],
        packed: Port,
        from: PackFrom,
        counted: bool,
    ) {
        let mut first = Line {
            role: Role::Spell,
            words: true,
            counted,
            first_packed: packed.cell(),
            ..Line::default()
        };
        first.ports.copy_from_slice(&words[..OPERANDS]);
        first.packed[0] = packed;
        let mut second = Line {
            words: true,
            ..Line::default()
        };
        second.ports.copy_from_slice(&words[OPERANDS..]);
        let at = self.line(first);
        self.line(second);
        self.program.steps.push(Step::Spell(at, from));
    }

    /// The element with these words.
    pub fn compose(&mut self, words: &[Base]) -> Ext {
        let x = self.x();
        let mut words = words.iter().rev();
        let Some(&last) = words.next() else {
            return self.constant(KoalaBear::ZERO);
        };
        words.fold(Ext(last.0), |sum, &word| self.mul_add(sum, x, Ext(word.0)))
    }
}

/// Whether open ports are of cells next to each other.
fn neighbours(ports: &[Port]) -> bool {
    let cells: Vec<Option<Cell>> = ports.iter().map(|port| port.cell()).collect();
    let first = cells.first().copied().flatten();
    cells
        .iter()
        .enumerate()
        .all(|(i, cell)| match (cell, first) {
            (Some(cell), Some(first)) => cell.0 == first.0 + i as u32,
            (Some(_), None) => false,
            (None, _) => true,
        })
}
