//! What cannot be a graph is refused, and a graph is not another AIR's.

use p3_air::symbolic::{BaseEntry, SymbolicVariable};
use p3_air::{Air, BaseAir, ExtensionBuilder, PermutationAirBuilder, WindowAccess};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, IndexedLookupBuilder, InteractionBuilder, Lookup};
use starkwright_hal::KoalaBear5;
use starkwright_prover::constraints::{Input, LoweringError};

use crate::Graph;
use crate::airs::{TALKATIVE_LOG_HEIGHT, Talkative};
use crate::oracle::{Openings, lookups};

fn talkative_lookups() -> Vec<Lookup<KoalaBear>> {
    lookups::<KoalaBear5, _>(&Talkative, TALKATIVE_LOG_HEIGHT).to_vec()
}

fn refusal(change: impl FnOnce(&mut Vec<Lookup<KoalaBear>>)) -> LoweringError {
    let mut lookups = talkative_lookups();
    change(&mut lookups);
    Graph::lower::<KoalaBear5, _>(&Talkative, &lookups).unwrap_err()
}

#[test]
fn lookups_that_are_not_the_airs() {
    let declared = 7;
    assert_eq!(
        refusal(Vec::clear),
        LoweringError::Messages { declared, given: 0 }
    );
    let one_less = refusal(|lookups| {
        lookups.last_mut().unwrap().elements.pop();
        lookups.last_mut().unwrap().multiplicities.pop();
    });
    assert_eq!(
        one_less,
        LoweringError::Messages {
            declared,
            given: declared - 1
        }
    );
}

#[test]
fn lookups_that_contradict_themselves() {
    let lookup =
        |change: fn(&mut Lookup<KoalaBear>)| match refusal(|lookups| change(&mut lookups[1])) {
            LoweringError::Lookup { index, why } => (index, why),
            other => panic!("{other}"),
        };
    assert_eq!(lookup(|l| l.column = 0), (1, "its column is not its index"));
    assert_eq!(
        lookup(|l| l.multiplicities.clear()),
        (1, "one multiplicity for each tuple")
    );
    assert_eq!(
        lookup(|l| l.flags = Some(Vec::new())),
        (1, "one flag for each tuple, or none at all")
    );
}

#[test]
fn lookups_that_read_what_is_not_there() {
    let reading = |entry, index| {
        let variable = SymbolicVariable::<KoalaBear>::new(entry, index);
        refusal(|lookups| lookups[1].elements[0][0] = variable.into())
    };
    let undeclared = |input| LoweringError::UndeclaredInput(input);
    let main = Input::Main {
        column: 6,
        next: false,
    };
    assert_eq!(reading(BaseEntry::Main { offset: 0 }, 6), undeclared(main));
    assert_eq!(reading(BaseEntry::Public, 2), undeclared(Input::Public(2)));
    assert_eq!(
        reading(BaseEntry::Periodic, 0),
        undeclared(Input::Periodic(0))
    );
    assert_eq!(
        reading(BaseEntry::Main { offset: 2 }, 0),
        LoweringError::RowOffset { offset: 2 }
    );
}

/// Multiplies by a constant of the extension.
struct Constant(KoalaBear5);

impl BaseAir<KoalaBear> for Constant {
    fn width(&self) -> usize {
        1
    }
}

impl<AB: ExtensionBuilder<F = KoalaBear, EF = KoalaBear5>> Air<AB> for Constant {
    fn eval(&self, builder: &mut AB) {
        let x: AB::Expr = builder.main().current(0).unwrap().into();
        builder.assert_zero_ext(AB::ExprEF::from(self.0) * AB::ExprEF::from(x));
    }
}

#[test]
fn constants_outside_the_base_field() {
    let lower = |constant| Graph::lower::<KoalaBear5, _>(&Constant(constant), &[]);
    assert_eq!(
        lower(KoalaBear5::GENERATOR),
        Err(LoweringError::ExtensionConstant)
    );
    // Inside it they are constants like others.
    let seven = KoalaBear::from_u32(7);
    let values = lower(seven.into()).unwrap().evaluate(|_| KoalaBear::TWO);
    assert_eq!(values, [seven.double()]);
}

/// Reads a table by index, which p3-batch-stark does not prove.
struct Indexed;

impl BaseAir<KoalaBear> for Indexed {
    fn width(&self) -> usize {
        2
    }
}

impl<AB: IndexedLookupBuilder<F = KoalaBear>> Air<AB> for Indexed {
    fn eval(&self, builder: &mut AB) {
        builder.push_indexed_read("table", 0, [1]);
    }
}

#[test]
fn what_constraints_do_not_express() {
    let indexed = Graph::lower::<KoalaBear5, _>(&Indexed, &[]);
    assert_eq!(indexed, Err(LoweringError::Unsupported("indexed reads")));
}

/// Asserts a multiple of its column and reads the accumulator itself.
struct Scaled(u32);

impl BaseAir<KoalaBear> for Scaled {
    fn width(&self) -> usize {
        1
    }
}

impl<AB: InteractionBuilder<F = KoalaBear> + PermutationAirBuilder> Air<AB> for Scaled {
    fn eval(&self, builder: &mut AB) {
        let x: AB::Expr = builder.main().current(0).unwrap().into();
        builder.assert_zero(x.clone() * AB::F::from_u32(self.0));
        builder.push_interaction("bus", [x], Count::from(1));
    }
}

/// The oracle tells AIRs apart that differ in one constant.
#[test]
fn a_constant_changes_the_folded_value() {
    let lookups = lookups::<KoalaBear5, _>(&Scaled(3), 4);
    let graph = |factor| Graph::lower::<KoalaBear5, _>(&Scaled(factor), &lookups).unwrap();
    let openings = Openings::<KoalaBear5>::random(graph(3).layout(), 1);
    let folded = |factor| graph(factor).evaluate_folded(&openings.alpha, |i| openings.get(i));
    let by_p3 = openings.folded_by_p3(&Scaled(3), &lookups);
    assert_eq!(folded(3), by_p3);
    assert_ne!(folded(4), by_p3);
}
