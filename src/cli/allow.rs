//! `--allow NORMALISATION`: how the named normalisations stand on the command line. What each lets differ is the core's.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use countersign_core::normalisation::Normalisation;

/// Reads a name, and lists every one with its meaning in `--help`.
pub(crate) fn parser() -> impl TypedValueParser<Value = Normalisation> {
    let named = |name: Normalisation| PossibleValue::new(name.as_str()).help(name.meaning());
    PossibleValuesParser::new(Normalisation::ALL.map(named))
        .map(|text| text.parse().expect("only names of normalisations are possible values"))
}
