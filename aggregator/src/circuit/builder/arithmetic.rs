//! Gates: arithmetic in the challenge field, one row for each operation.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::Builder;
use crate::circuit::layout::fixed::Gate;
use crate::circuit::program::{Base, Cell, Ext, Line, Port, Role, Step};

impl Builder {
    /// `(qa a + qb b) d + la a + lb b + ld d + k + k1 X`, as a new value. Operands without a coefficient are not read.
    pub fn gate(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext) -> Ext {
        let out = self.cell();
        let at = self.gate_line(gate, a, b, d, Port::Create(out));
        self.program.steps.push(Step::Gate(at));
        Ext(out)
    }

    /// As [`Self::gate`], where the value is known to lie in the base field.
    pub fn gate_base(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext) -> Base {
        Base(self.gate(gate, a, b, d).0)
    }

    /// Asserts that a gate's value is `o`.
    pub fn assert_gate(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext, o: Ext) {
        let o = self.read(o.0);
        let at = self.gate_line(gate, a, b, d, o);
        self.program.steps.push(Step::Gate(at));
    }

    fn gate_line(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext, o: Port) -> usize {
        let zero = KoalaBear::ZERO;
        let mut open = |operand: Ext, used: bool| match used {
            true => self.read(operand.0),
            false => Port::Closed,
        };
        let ports = [
            open(a, gate.qa != zero || gate.la != zero),
            open(b, gate.qb != zero || gate.lb != zero),
            open(d, gate.qa != zero || gate.qb != zero || gate.ld != zero),
            o,
        ];
        let gate = Gate {
            lo: KoalaBear::ONE,
            ..gate
        };
        self.line(Line {
            gate,
            ports,
            ..Line::default()
        })
    }

    /// A constant.
    pub fn constant(&mut self, value: KoalaBear) -> Ext {
        if let Some(&known) = self.constants.get(&value) {
            return known;
        }
        let gate = Gate {
            k: value,
            ..Gate::default()
        };
        let nothing = Ext(Cell(0));
        let constant = self.gate(gate, nothing, nothing, nothing);
        self.constants.insert(value, constant);
        constant
    }

    /// A constant of the base field.
    pub fn base_constant(&mut self, value: KoalaBear) -> Base {
        Base(self.constant(value).0)
    }

    /// The challenge field's generator `X`.
    pub fn x(&mut self) -> Ext {
        if let Some(x) = self.x {
            return x;
        }
        let gate = Gate {
            k1: KoalaBear::ONE,
            ..Gate::default()
        };
        let nothing = Ext(Cell(0));
        let x = self.gate(gate, nothing, nothing, nothing);
        self.x = Some(x);
        x
    }

    /// `a d + b`.
    pub fn mul_add(&mut self, a: Ext, d: Ext, b: Ext) -> Ext {
        let gate = Gate {
            qa: KoalaBear::ONE,
            lb: KoalaBear::ONE,
            ..Gate::default()
        };
        self.gate(gate, a, b, d)
    }

    /// `a d`.
    pub fn mul(&mut self, a: Ext, d: Ext) -> Ext {
        let gate = Gate {
            qa: KoalaBear::ONE,
            ..Gate::default()
        };
        self.gate(gate, a, a, d)
    }

    /// `la a + lb b + ld d + k`, operands with coefficient zero left out.
    pub fn linear(&mut self, terms: [(KoalaBear, Ext); 3], k: KoalaBear) -> Ext {
        let [(la, a), (lb, b), (ld, d)] = terms;
        let gate = Gate {
            la,
            lb,
            ld,
            k,
            ..Gate::default()
        };
        self.gate(gate, a, b, d)
    }

    /// A sum of multiples of two elements of the base field.
    pub fn sum_base(&mut self, [(la, a), (lb, b)]: [(KoalaBear, Base); 2]) -> Base {
        let (a, b) = (Ext::from(a), Ext::from(b));
        Base(
            self.linear([(la, a), (lb, b), (KoalaBear::ZERO, a)], KoalaBear::ZERO)
                .0,
        )
    }

    /// `a + b`.
    pub fn add(&mut self, a: Ext, b: Ext) -> Ext {
        let one = KoalaBear::ONE;
        self.linear([(one, a), (one, b), (KoalaBear::ZERO, a)], KoalaBear::ZERO)
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Ext, b: Ext) -> Ext {
        let one = KoalaBear::ONE;
        self.linear([(one, a), (-one, b), (KoalaBear::ZERO, a)], KoalaBear::ZERO)
    }

    /// `o / (qa a + qb b)`, which must not be a division by zero: a divisor of zero satisfies no assignment unless `o` is
    /// zero as well, and so `o` must be known not to be.
    fn quotient(&mut self, [(qa, a), (qb, b)]: [(KoalaBear, Ext); 2], o: Ext) -> Ext {
        let d = self.cell();
        let mut open = |operand: Ext, used: KoalaBear| match used == KoalaBear::ZERO {
            false => self.read(operand.0),
            true => Port::Closed,
        };
        let ports = [open(a, qa), open(b, qb), Port::Create(d), Port::Closed];
        let o = self.read(o.0);
        let gate = Gate {
            qa,
            qb,
            lo: KoalaBear::ONE,
            ..Gate::default()
        };
        let [a, b, d_port, _] = ports;
        let at = self.line(Line {
            gate,
            ports: [a, b, d_port, o],
            ..Line::default()
        });
        self.program.steps.push(Step::Divide(at));
        Ext(d)
    }

    /// `1 / (qa a + qb b)`. Unsatisfiable where that is zero.
    pub fn inverse_of(&mut self, terms: [(KoalaBear, Ext); 2]) -> Ext {
        let one = self.constant(KoalaBear::ONE);
        self.quotient(terms, one)
    }

    /// `1 / a`. Unsatisfiable for zero.
    pub fn inverse(&mut self, a: Ext) -> Ext {
        self.inverse_of([(KoalaBear::ONE, a), (KoalaBear::ZERO, a)])
    }

    /// Asserts that two values are equal.
    pub fn assert_equal(&mut self, a: Ext, b: Ext) {
        let gate = Gate {
            la: KoalaBear::ONE,
            ..Gate::default()
        };
        self.assert_gate(gate, a, a, a, b);
    }

    /// Asserts that a value is zero.
    pub fn assert_zero(&mut self, a: Ext) {
        let zero = self.constant(KoalaBear::ZERO);
        self.assert_equal(a, zero);
    }

    /// A power with a known exponent.
    pub fn power(&mut self, a: Ext, exponent: u64) -> Ext {
        if exponent == 0 {
            return self.constant(KoalaBear::ONE);
        }
        let mut power = a;
        for bit in (0..exponent.ilog2()).rev() {
            power = self.mul(power, power);
            if exponent >> bit & 1 == 1 {
                power = self.mul(power, a);
            }
        }
        power
    }

    /// `a^(2^n)`.
    pub fn power_of_two_power(&mut self, a: Ext, n: usize) -> Ext {
        (0..n).fold(a, |power, _| self.mul(power, power))
    }

    /// One of the elements, which were [unpacked](Self::unpack_counted) in one go: the one at the place that `index` holds.
    /// The index must be known to be a place.
    pub fn pick_is(&mut self, elements: &[Ext], index: Ext, value: Ext) {
        // The first of the cells is named; the offset is dynamic, and so is the reader's count.
        let Some(&Ext(first)) = elements.first() else {
            self.refuse("one of no elements is picked");
            return;
        };
        self.expect_offered(elements.iter().map(|element| element.0));
        let (d, o) = (self.read(index.0), self.read(value.0));
        let gate = Gate {
            la: KoalaBear::ONE,
            lo: KoalaBear::ONE,
            ..Gate::default()
        };
        let at = self.line(Line {
            gate,
            ports: [Port::Read(first), Port::Closed, d, o],
            role: Role::Pick,
            ..Line::default()
        });
        self.program.steps.push(Step::Pick(at));
    }
}
